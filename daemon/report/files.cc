#include <algorithm>
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

absl::Status WriteFiles(const ReportInput& input, const v1::Selection& selection, RowSink* sink) {
  const Trace& trace = input.trace;
  const Selector selector(selection);
  struct UseOf {
    PathId path;
    CommandId command;
    const Use* use;
  };
  std::vector<UseOf> uses;
  std::vector<PathId> order;
  std::vector<bool> is_used(trace.path_count());
  for (const Command& command : trace.commands()) {
    if (!selector.TakesCommandItself(command)) continue;
    for (const Use& use : command.uses) {
      if (!selector.TakesUse(trace, use)) continue;
      uses.push_back({use.path, command.id, &use});
      if (!is_used[use.path]) order.push_back(use.path);
      is_used[use.path] = true;
    }
  }
  std::sort(order.begin(), order.end(), [&](PathId a, PathId b) { return trace.Path(a) < trace.Path(b); });
  std::stable_sort(uses.begin(), uses.end(), [](const UseOf& a, const UseOf& b) { return a.path < b.path; });

  RowLimit limit(selection.limit());
  for (const PathId path : order) {
    if (!limit.Take()) continue;
    v1::ReportRow row;
    v1::File* const file = row.mutable_file();
    file->set_path(EscapeBytes(trace.Path(path)));
    const auto first = std::lower_bound(uses.begin(), uses.end(), path,
                                        [](const UseOf& use, PathId wanted) { return use.path < wanted; });
    for (auto use = first; use != uses.end() && use->path == path; ++use) AddToFileRow(*use->use, use->command, file);
    if (!sink->Write(row)) return absl::CancelledError();
  }
  if (limit.left_out() == 0) return absl::OkStatus();
  v1::ReportRow row;
  row.set_left_out(limit.left_out());
  return sink->Write(row) ? absl::OkStatus() : absl::CancelledError();
}

}  // namespace ocpwatch
