#include <cstdio>
#include <utility>

#include "cli/render/paths.h"
#include "cli/render/renderer.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/render/words.h"

namespace ocpwatch {
namespace {

// A header may be read by a thousand commands: on a terminal the first few say enough.
constexpr int kBriefIds = 4;

std::string Ids(const google::protobuf::RepeatedField<uint32_t>& ids, const Style& style) {
  std::string text;
  const int shown = style.brief && ids.size() > kBriefIds ? kBriefIds - 1 : ids.size();
  for (int i = 0; i < shown; ++i) {
    if (i > 0) text += ',';
    text += std::to_string(ids.Get(i));
  }
  if (shown < ids.size()) text += ",+" + std::to_string(ids.size() - shown);
  return text;
}

// What is common to the views that are tables: the session that they are of, and the rows that were cut off.
class RowsView : public Renderer {
 public:
  RowsView(const Style& style, Output* out) : style_(style), out_(out) {}

  void Add(v1::ReportRow* row) final {
    if (row->has_session()) {
      session_ = std::move(*row->mutable_session());
    } else if (row->body_case() == v1::ReportRow::kLeftOut) {
      left_out_ += row->left_out();
    } else {
      ++rows_;
      AddRow(*row);
    }
  }

  void Finish() final {
    FinishRows();
    if (rows_ == 0 && style_.brief) out_->Write("Nothing in session " + Printable(session_.id()) + " matches.\n");
    if (left_out_ > 0) out_->Write((style_.utf8 ? "… " : "... ") + Count(left_out_) + " more (--limit)\n");
  }

 protected:
  virtual void AddRow(const v1::ReportRow& row) = 0;
  virtual void FinishRows() {}

  const Style style_;
  Output* const out_;
  v1::Session session_;

 private:
  uint64_t rows_ = 0;
  uint64_t left_out_ = 0;
};

class CommandsView : public RowsView {
 public:
  CommandsView(const Style& style, Output* out)
      : RowsView(style, out),
        table_({{"ID", Column::kRight},
                {"PARENT", Column::kRight},
                {"PID", Column::kRight},
                {"START", Column::kRight},
                {"TIME", Column::kRight},
                {"STATUS"},
                {"NOTE", Column::kLeft, true},
                {"COMMAND", Column::kShrinks}},
               style, out) {}

 private:
  void AddRow(const v1::ReportRow& row) override {
    const v1::Command& command = row.command();
    table_.Add({{std::to_string(command.id())},
                {command.parent_id() == 0 ? "-" : std::to_string(command.parent_id())},
                {std::to_string(command.pid())},
                {Duration(command.start_ns())},
                {Duration(Elapsed(command, session_.duration_ns()))},
                {StatusWord(command), StatusColor(command)},
                {command.opaque_reason().empty() ? "" : "opaque", Color::kYellow},
                {CommandLine(command.argv())}});
  }
  void FinishRows() override { table_.Finish(); }

  Table table_;
};

class FilesView : public RowsView {
 public:
  FilesView(const Style& style, Output* out)
      : RowsView(style, out),
        table_({{"PATH", Column::kShrinksInFront},
                {"READ BY", Column::kLeft, true},
                {"WRITTEN", Column::kLeft, true},
                {"REMOVED", Column::kLeft, true},
                {"LISTED", Column::kLeft, true},
                {"MISSING", Column::kLeft, true},
                {"CHECKED", Column::kLeft, true, true}},
               style, out) {}

 private:
  void AddRow(const v1::ReportRow& row) override {
    const v1::File& file = row.file();
    // A pipe gets the whole path: it is what programs look for.
    table_.Add({{style_.brief ? ShortPath(file.path(), session_.cwd()) : Printable(file.path())},
                {Ids(file.read_by(), style_)},
                {Ids(file.written_by(), style_), Color::kGreen},
                {Ids(file.removed_by(), style_), Color::kRed},
                {Ids(file.listed_by(), style_)},
                {Ids(file.missing_for(), style_), Color::kDim},
                {Ids(file.checked_by(), style_), Color::kDim}});
  }
  void FinishRows() override { table_.Finish(); }

  Table table_;
};

class EventsView : public RowsView {
 public:
  EventsView(const Style& style, Output* out)
      : RowsView(style, out),
        table_(
            {{"TIME", Column::kRight}, {"CMD", Column::kRight}, {"PID", Column::kRight}, {"EVENT", Column::kShrinks}},
            style, out) {}

 private:
  void AddRow(const v1::ReportRow& row) override {
    const v1::EventRow& event = row.event();
    char time[32];
    snprintf(time, sizeof time, "%.6f", static_cast<double>(event.time_ns()) / 1e9);
    std::string text = Printable(event.text());
    if (text.empty()) text = Printable(event.function() + " " + event.path());
    Color color = Color::kNone;
    if (event.kind() == "proc") color = Color::kBold;
    if (event.kind() == "lost" || event.kind() == "damage") color = Color::kYellow;
    if (!event.error().empty()) color = Color::kDim;
    table_.Add({{time, Color::kDim},
                {event.command_id() == 0 ? "-" : std::to_string(event.command_id())},
                {std::to_string(event.pid())},
                {text, color}});
  }
  void FinishRows() override { table_.Finish(); }

  Table table_;
};

// Everything about one file: who made it, who used it, and from what it was made, step by step.
class OriginView : public RowsView {
 public:
  using RowsView::RowsView;

 private:
  void AddRow(const v1::ReportRow& row) override {
    if (row.has_file()) WriteFile(row.file());
    if (row.has_origin()) WriteStep(row.origin());
  }

  void WriteUse(std::string_view label, const google::protobuf::RepeatedField<uint32_t>& ids) {
    if (ids.empty()) return;
    std::string text = "  " + std::string(label);
    text.resize(15, ' ');
    text = style_.Paint(text, Color::kDim);
    const int shown = ids.size();
    for (int i = 0; i < shown; ++i) text += (i == 0 ? "#" : ", #") + std::to_string(ids.Get(i));
    out_->Write(text + "\n");
  }

  void WriteFile(const v1::File& file) {
    out_->Write(style_.Paint(Printable(file.path()), Color::kBold) + "\n");
    WriteUse("written by", file.written_by());
    WriteUse("read by", file.read_by());
    WriteUse("removed by", file.removed_by());
    WriteUse("listed by", file.listed_by());
    WriteUse("missing for", file.missing_for());
    WriteUse("checked by", file.checked_by());
    out_->Write("\n");
  }

  void WriteStep(const v1::Origin& origin) {
    const std::string indent(2 * static_cast<size_t>(origin.depth()), ' ');
    std::string head = indent + ShortPath(origin.path(), session_.cwd());
    if (origin.writers().empty()) head += "  (not written by this session)";
    out_->Write(style_.Paint(head, Color::kGreen) + "\n");
    for (const v1::Command& writer : origin.writers()) {
      const std::string margin = indent + "  made by #" + std::to_string(writer.id()) + " ";
      const size_t room = style_.width > margin.size() + 20 ? style_.width - margin.size() : 0;
      out_->Write(margin + Truncated(CommandLine(writer.argv()), room, style_.utf8) + "\n");
    }
    WriteSources(indent + "  from ", origin.made_from());
  }

  void WriteSources(std::string margin, const PathList& paths) {
    if (!style_.brief) {
      for (const std::string& path : paths) out_->Write(margin + Printable(path) + "\n");
      return;
    }
    const size_t room = style_.width > margin.size() + 20 ? style_.width - margin.size() : 20;
    for (const std::string& line : BriefPaths(paths, session_.cwd(), room, style_.utf8)) {
      out_->Write(style_.Paint(margin, Color::kDim) + line + "\n");
      margin.assign(margin.size(), ' ');
    }
  }
};

}  // namespace

std::unique_ptr<Renderer> NewCommandsView(const Style& style, Output* out) {
  return std::make_unique<CommandsView>(style, out);
}
std::unique_ptr<Renderer> NewFilesView(const Style& style, Output* out) {
  return std::make_unique<FilesView>(style, out);
}
std::unique_ptr<Renderer> NewEventsView(const Style& style, Output* out) {
  return std::make_unique<EventsView>(style, out);
}
std::unique_ptr<Renderer> NewOriginView(const Style& style, Output* out) {
  return std::make_unique<OriginView>(style, out);
}

}  // namespace ocpwatch
