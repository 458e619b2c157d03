// What a file was made from: its writers, what those read, who wrote that, and so on. A compiler driver's temporary
// files lead from the object over the assembler to the source, since each is written by one command and read by
// another.
#include <deque>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "daemon/report/escape.h"
#include "daemon/report/file_row.h"
#include "daemon/report/rows.h"
#include "daemon/report/selection.h"
#include "daemon/report/views.h"

namespace ocpwatch {
namespace {

// Which commands wrote a path, by PathId.
std::vector<std::vector<CommandId>> WritersOfPaths(const Trace& trace) {
  std::vector<std::vector<CommandId>> writers(trace.path_count());
  for (const Command& command : trace.commands()) {
    for (const Use& use : command.uses) {
      if ((use.kinds & kWritten) != 0) writers[use.path].push_back(command.id);
    }
  }
  return writers;
}

bool FindPath(const Trace& trace, const std::string& path, PathId* id) {
  for (size_t i = 0; i < trace.path_count(); ++i) {
    if (trace.Path(static_cast<PathId>(i)) == path) {
      *id = static_cast<PathId>(i);
      return true;
    }
  }
  return false;
}

// Devices take and give anything; a file is not made from them.
bool IsDevice(const std::string& path) { return path.starts_with("/dev/"); }

}  // namespace

absl::Status WriteOrigin(const ReportInput& input, const v1::Selection& selection, RowSink* sink) {
  const Trace& trace = input.trace;
  PathId asked = 0;
  if (!FindPath(trace, selection.file(), &asked)) {
    return absl::NotFoundError(
        absl::StrCat("no command of session ", input.session.id(), " used ", EscapeBytes(selection.file())));
  }
  v1::ReportRow row;
  row.mutable_file()->set_path(EscapeBytes(trace.Path(asked)));
  for (const Command& command : trace.commands()) {
    for (const Use& use : command.uses) {
      if (use.path == asked) AddToFileRow(use, command.id, row.mutable_file());
    }
  }
  if (!sink->Write(row)) return absl::CancelledError();

  const std::vector<std::vector<CommandId>> writers = WritersOfPaths(trace);
  RowLimit limit(selection.limit());
  std::deque<std::pair<PathId, uint32_t>> queue = {{asked, 0}};
  absl::flat_hash_set<PathId> seen = {asked};
  while (!queue.empty()) {
    const auto [path, depth] = queue.front();
    queue.pop_front();
    v1::Origin* const origin = row.mutable_origin();
    origin->Clear();
    origin->set_path(EscapeBytes(trace.Path(path)));
    origin->set_depth(depth);
    absl::flat_hash_set<PathId> sources;
    for (const CommandId writer : writers[path]) {
      const Command& command = *trace.Find(writer);
      *origin->add_writers() = CommandRow(trace, command);
      for (const Use& use : command.uses) {
        // A rename makes a file from one that it never opens.
        const bool is_moved = IsRemoved(use) && !writers[use.path].empty();
        if (use.path == path || (!IsRead(use) && !is_moved) || IsDevice(trace.Path(use.path))) continue;
        if (!sources.insert(use.path).second) continue;
        origin->add_made_from(EscapeBytes(trace.Path(use.path)));
        if (!writers[use.path].empty() && seen.insert(use.path).second) queue.emplace_back(use.path, depth + 1);
      }
    }
    if (limit.Take() && !sink->Write(row)) return absl::CancelledError();
  }
  if (limit.left_out() == 0) return absl::OkStatus();
  row.set_left_out(limit.left_out());
  return sink->Write(row) ? absl::OkStatus() : absl::CancelledError();
}

}  // namespace ocpwatch
