// What a file was made from: its writers, what those read, who wrote that, and so on. A compiler driver's temporary
// files lead from the object over the assembler to the source, since each is written by one command and read by
// another.
//
// Time matters: a driver may use one temporary name for two compilations, and a Makefile may be written by what it
// started. So a file is asked for as it was when its reader ended, and nothing that happened later counts. Of two
// earlier writers both count: a trace does not tell whether the second one replaced what the first had written.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "daemon/report/escape.h"
#include "daemon/report/file_row.h"
#include "daemon/report/rows.h"
#include "daemon/report/selection.h"
#include "daemon/report/views.h"

namespace ocpwatch {
namespace {

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

// Where a source stands in a list: what this session made first, tools and libraries last.
enum class Rank : uint8_t { kMade, kFound, kTool };

struct Source {
  PathId path = 0;
  Rank rank = Rank::kTool;
  uint64_t until_ns = 0;  // Nothing of it that is younger can be in the product.
};

class OriginSearch {
 public:
  struct Step {
    PathId path = 0;
    uint32_t depth = 0;
    uint64_t until_ns = 0;
  };

  explicit OriginSearch(const Trace& trace) : trace_(trace), writers_(trace.path_count()) {
    for (const Command& command : trace.commands()) {
      for (const Use& use : command.uses) {
        if ((use.kinds & kWritten) != 0) writers_[use.path].push_back({command.id, use.first_ns});
      }
    }
  }

  // The asked file and all files of this session that it was made from, the nearest first.
  std::vector<Step> Find(PathId asked) {
    std::deque<PathId> queue;
    const auto reach = [&](PathId path, uint32_t depth, uint64_t until_ns) {
      const auto [step, is_new] = steps_.try_emplace(path, Step{path, depth, until_ns});
      // A shorter way to it, or a younger state of it: what it was made from has to be looked at again. Both can
      // happen a bounded number of times only, so loops end.
      if (!is_new && step->second.depth <= depth && step->second.until_ns >= until_ns) return;
      step->second.depth = std::min(step->second.depth, depth);
      step->second.until_ns = std::max(step->second.until_ns, until_ns);
      queue.push_back(path);
    };
    reach(asked, 0, UINT64_MAX);
    while (!queue.empty()) {
      const Step step = steps_.at(queue.front());
      queue.pop_front();
      for (const Source& source : SourcesOf(step)) {
        if (IsWritten(source.path, source.until_ns)) reach(source.path, step.depth + 1, source.until_ns);
      }
    }
    std::vector<Step> found;
    for (const auto& [path, step] : steps_) found.push_back(step);
    std::sort(found.begin(), found.end(), [&](const Step& a, const Step& b) {
      return a.depth != b.depth ? a.depth < b.depth : trace_.Path(a.path) < trace_.Path(b.path);
    });
    return found;
  }

  void Describe(const Step& step, v1::Origin* origin) const {
    origin->set_path(EscapeBytes(trace_.Path(step.path)));
    origin->set_depth(step.depth);
    for (const Writer& writer : writers_[step.path]) {
      if (writer.first_ns <= step.until_ns) *origin->add_writers() = CommandRow(trace_, *trace_.Find(writer.command));
    }
    for (const Source& source : SourcesOf(step)) origin->add_made_from(EscapeBytes(trace_.Path(source.path)));
  }

 private:
  struct Writer {
    CommandId command;
    uint64_t first_ns;
  };

  bool IsWritten(PathId path, uint64_t until_ns) const {
    return std::any_of(writers_[path].begin(), writers_[path].end(),
                       [&](const Writer& writer) { return writer.first_ns <= until_ns; });
  }

  // By rank and path.
  std::vector<Source> SourcesOf(const Step& step) const {
    absl::flat_hash_map<PathId, Source> sources;
    for (const Writer& writer : writers_[step.path]) {
      if (writer.first_ns > step.until_ns) continue;
      const Command& command = *trace_.Find(writer.command);
      const uint64_t until_ns = std::min(step.until_ns, command.end_ns == 0 ? UINT64_MAX : command.end_ns);
      for (const Use& use : command.uses) {
        // A rename makes a file from one that it never opens; a temporary file of the command's own is no source.
        const bool is_moved = IsRemoved(use) && !IsWrite(use) && (use.kinds & kDirectory) == 0;
        if (use.path == step.path || use.first_ns > step.until_ns || (!IsRead(use) && !is_moved)) continue;
        if (IsDevice(trace_.Path(use.path))) continue;
        Source& source = sources[use.path];
        const bool is_tool = (use.kinds & (kExecuted | kLoaded)) != 0;
        source.path = use.path;
        source.rank = std::min(source.rank, is_tool ? Rank::kTool : Rank::kFound);
        source.until_ns = std::max(source.until_ns, until_ns);
      }
    }
    std::vector<Source> sorted;
    for (auto& [path, source] : sources) {
      if (IsWritten(path, source.until_ns)) source.rank = Rank::kMade;
      sorted.push_back(source);
    }
    std::sort(sorted.begin(), sorted.end(), [&](const Source& a, const Source& b) {
      return a.rank != b.rank ? a.rank < b.rank : trace_.Path(a.path) < trace_.Path(b.path);
    });
    return sorted;
  }

  const Trace& trace_;
  std::vector<std::vector<Writer>> writers_;  // By PathId.
  absl::flat_hash_map<PathId, Step> steps_;
};

}  // namespace

absl::Status WriteOrigin(const ReportInput& input, const v1::Selection& selection, RowSink* sink) {
  const Trace& trace = input.trace;
  PathId asked = 0;
  bool is_used = false;
  v1::ReportRow row;
  if (FindPath(trace, selection.file(), &asked)) {
    row.mutable_file()->set_path(EscapeBytes(trace.Path(asked)));
    for (const Command& command : trace.commands()) {
      for (const Use& use : command.uses) {
        if (use.path != asked) continue;
        AddToFileRow(use, command.id, row.mutable_file());
        is_used = true;
      }
    }
  }
  if (!is_used) {
    return absl::NotFoundError(
        absl::StrCat("no command of session ", input.session.id(), " used ", EscapeBytes(selection.file())));
  }
  if (!sink->Write(row)) return absl::CancelledError();

  OriginSearch search(trace);
  RowLimit limit(selection.limit());
  for (const OriginSearch::Step& step : search.Find(asked)) {
    if (!limit.Take()) continue;
    row.mutable_origin()->Clear();
    search.Describe(step, row.mutable_origin());
    if (!sink->Write(row)) return absl::CancelledError();
  }
  if (limit.left_out() == 0) return absl::OkStatus();
  row.set_left_out(limit.left_out());
  return sink->Write(row) ? absl::OkStatus() : absl::CancelledError();
}

}  // namespace ocpwatch
