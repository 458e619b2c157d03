#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

#include "daemon/report/escape.h"
#include "daemon/report/file_row.h"
#include "daemon/report/selection.h"
#include "daemon/report/views.h"

namespace ocpwatch {

void AddToFileRow(const Use& use, CommandId command, v1::File* row) {
  if (IsRead(use)) row->add_read_by(command);
  if (IsWrite(use)) row->add_written_by(command);
  if (IsMissing(use)) row->add_missing_for(command);
  if (IsListed(use)) row->add_listed_by(command);
  if (IsRemoved(use)) row->add_removed_by(command);
  if (IsChecked(use)) row->add_checked_by(command);
}

namespace {

// The uses that a selection takes, path by path; of one path in the order of the commands.
class UsesByPath {
 public:
  struct Item {
    CommandId command;
    const Use* use;
  };

  UsesByPath(const Trace& trace, const Selector& selector) : begin_(trace.path_count() + 1) {
    const auto for_each = [&](auto fn) {
      for (const Command& command : trace.commands()) {
        if (!selector.TakesCommandItself(command)) continue;
        for (const Use& use : command.uses) {
          if (selector.TakesUse(trace, use)) fn(command.id, use);
        }
      }
    };
    for_each([&](CommandId, const Use& use) { ++begin_[use.path + 1]; });
    std::partial_sum(begin_.begin(), begin_.end(), begin_.begin());
    items_.resize(begin_.back());
    std::vector<size_t> next(begin_.begin(), begin_.end() - 1);
    for_each([&](CommandId command, const Use& use) { items_[next[use.path]++] = {command, &use}; });
  }

  std::span<const Item> Of(PathId path) const {
    return std::span(items_).subspan(begin_[path], begin_[path + 1] - begin_[path]);
  }

 private:
  std::vector<size_t> begin_;  // By PathId: the first of its items.
  std::vector<Item> items_;
};

}  // namespace

absl::Status WriteFiles(const ReportInput& input, const v1::Selection& selection, RowSink* sink) {
  const Trace& trace = input.trace;
  const Selector selector(selection);
  const UsesByPath uses(trace, selector);
  std::vector<PathId> order;
  for (PathId path = 0; path < trace.path_count(); ++path) {
    if (!uses.Of(path).empty()) order.push_back(path);
  }
  std::sort(order.begin(), order.end(), [&](PathId a, PathId b) { return trace.Path(a) < trace.Path(b); });

  RowLimit limit(selection.limit());
  v1::ReportRow row;
  for (const PathId path : order) {
    if (!limit.Take()) continue;
    v1::File* const file = row.mutable_file();
    file->Clear();
    EscapeBytes(trace.Path(path), file->mutable_path());
    for (const auto& [command, use] : uses.Of(path)) AddToFileRow(*use, command, file);
    if (!sink->Write(row)) return absl::CancelledError();
  }
  if (limit.left_out() == 0) return absl::OkStatus();
  row.set_left_out(limit.left_out());
  return sink->Write(row) ? absl::OkStatus() : absl::CancelledError();
}

}  // namespace ocpwatch
