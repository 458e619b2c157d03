#include "cli/render/table.h"

#include <algorithm>
#include <utility>

#include "cli/render/text.h"

namespace ocpwatch {
namespace {

constexpr size_t kGap = 2;

bool Shrinks(const Column& column) { return column.kind == Column::kShrinks || column.kind == Column::kShrinksInFront; }

}  // namespace

Table::Table(std::vector<Column> columns, const Style& style, Output* out, size_t indent)
    : columns_(std::move(columns)), style_(style), out_(out), indent_(indent) {}

void Table::Add(std::vector<Cell> row) {
  ++rows_;
  if (measured_) {
    WriteRow(row);
    return;
  }
  sample_.push_back(std::move(row));
  if (sample_.size() == kSampleRows) Measure();
}

void Table::Finish() {
  if (!measured_ && rows_ > 0) Measure();
}

void Table::Measure() {
  measured_ = true;
  widths_.assign(columns_.size(), 0);
  size_t total = indent_;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t widest = 0;
    for (const auto& row : sample_) widest = std::max(widest, DisplayWidth(row[i].text));
    if (widest == 0 && columns_[i].optional) continue;
    if (style_.width == 0) widest = std::min(widest, kWidestAligned);
    widths_[i] = std::max(widest, DisplayWidth(columns_[i].title));
    total += widths_[i] + kGap;
  }
  total -= kGap;
  if (style_.width > 0) Squeeze(total);
  std::vector<Cell> titles;
  titles.reserve(columns_.size());
  for (const Column& column : columns_) titles.push_back({column.title, Color::kBold});
  WriteRow(titles);
  for (const auto& row : sample_) WriteRow(row);
  sample_.clear();
  sample_.shrink_to_fit();
}

void Table::Squeeze(size_t total) {
  size_t shrinking = columns_.size();
  for (size_t i = 0; i < columns_.size() && shrinking == columns_.size(); ++i) {
    if (Shrinks(columns_[i]) && widths_[i] > 0) shrinking = i;
  }
  if (shrinking == columns_.size()) return;
  size_t& width = widths_[shrinking];
  for (size_t i = columns_.size(); i-- > 0;) {
    if (total - width + std::min(width, kComfortable) <= style_.width) break;
    if (!columns_[i].minor || widths_[i] == 0) continue;
    total -= widths_[i] + kGap;
    widths_[i] = 0;
  }
  if (total <= style_.width) return;
  const size_t over = total - style_.width;
  width = std::max(kMinimumShrunk, width > over ? width - over : 0);
}

void Table::WriteRow(const std::vector<Cell>& row) {
  std::string line(indent_, ' ');
  size_t pending = 0;  // Blanks that are written only if something follows them.
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (widths_[i] == 0) continue;
    std::string text = row[i].text;
    if (style_.width != 0 && columns_[i].kind == Column::kShrinks) text = Truncated(text, widths_[i], style_.utf8);
    if (style_.width != 0 && columns_[i].kind == Column::kShrinksInFront) {
      text = TruncatedFront(text, widths_[i], style_.utf8);
    }
    const size_t used = DisplayWidth(text);
    const size_t blanks = widths_[i] > used ? widths_[i] - used : 0;
    if (columns_[i].kind == Column::kRight) pending += blanks;
    if (used > 0) {
      line.append(pending, ' ');
      line += style_.Paint(text, row[i].color);
      pending = 0;
    }
    if (columns_[i].kind != Column::kRight) pending += blanks;
    pending += kGap;
  }
  line += '\n';
  out_->Write(line);
}

}  // namespace ocpwatch
