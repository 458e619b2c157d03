#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "daemon/report/escape.h"
#include "daemon/report/exports.h"
#include "daemon/report/rows.h"
#include "daemon/report/selection.h"

namespace ocpwatch {
namespace {

using Json = nlohmann::ordered_json;

// Files shown for each list of a command: more than a person reads in a side panel makes the viewer slow.
constexpr size_t kShownFiles = 200;

double Microseconds(int64_t ns) { return static_cast<double>(ns) / 1000.0; }

std::string Name(const Command& command) {
  const std::string& program = command.argv.empty() ? command.executable : command.argv.front();
  return ValidUtf8(program.substr(program.rfind('/') + 1));
}

template <typename Predicate>
void AddFiles(const Trace& trace, const Command& command, const Selector& selector, const char* name, Predicate belongs,
              Json* arguments) {
  Json list = Json::array();
  size_t more = 0;
  for (const Use& use : command.uses) {
    if (!belongs(use) || !selector.TakesUse(trace, use)) continue;
    if (list.size() < kShownFiles) {
      list.push_back(ValidUtf8(trace.Path(use.path)));
    } else {
      ++more;
    }
  }
  if (more > 0) list.push_back(absl::StrCat("... and ", more, " more"));
  if (!list.empty()) (*arguments)[name] = std::move(list);
}

// Where a process is drawn. Its pid, unless that is not known or another process of the session had it before: then a
// number above all pids.
class Tracks {
 public:
  struct Track {
    int64_t pid;
    int64_t tid;
    bool is_new;
  };
  Track Of(const Command& command) {
    const auto [known, is_new] = tracks_.try_emplace(command.process);
    if (is_new) {
      const bool is_free = command.pid > 0 && taken_.insert(command.pid).second;
      known->second = is_free ? command.pid : kAbovePids + command.process;
    }
    return {command.pid > 0 ? command.pid : known->second, known->second, is_new};
  }

 private:
  static constexpr int64_t kAbovePids = 1 << 22;   // PID_MAX_LIMIT of 64-bit Linux.
  absl::flat_hash_map<uint32_t, int64_t> tracks_;  // By process number: the tid.
  absl::flat_hash_set<int32_t> taken_;
};

Json Metadata(const Tracks::Track& track, const char* what, Json arguments) {
  return {{"ph", "M"}, {"name", what}, {"pid", track.pid}, {"tid", track.tid}, {"args", std::move(arguments)}};
}

Json Slice(const Trace& trace, const Command& command, const Tracks::Track& track, const Selector& selector,
           uint64_t last_ns) {
  const int64_t start = SinceStart(trace, command.start_ns);
  const int64_t end = SinceStart(trace, command.end_ns != 0 ? command.end_ns : std::max(last_ns, command.start_ns));
  Json arguments;
  arguments["command"] = command.id;
  arguments["parent"] = command.parent;
  arguments["pid"] = command.pid;
  Json& argv = arguments["argv"] = Json::array();
  for (const std::string& argument : command.argv) argv.push_back(ValidUtf8(argument));
  arguments["executable"] = ValidUtf8(command.executable);
  arguments["cwd"] = ValidUtf8(command.cwd);
  if (command.end == v1::END_EXIT) arguments["exit_status"] = command.end_value;
  if (command.end == v1::END_SIGNAL) arguments["signal"] = command.end_value;
  if (command.opaque != v1::OPAQUE_NONE) arguments["opaque"] = OpaqueText(command.opaque, command.opaque_detail);
  AddFiles(trace, command, selector, "writes", IsWrite, &arguments);
  AddFiles(trace, command, selector, "reads", IsRead, &arguments);
  return {{"ph", "X"},
          {"name", Name(command)},
          {"cat", "command"},
          {"pid", track.pid},
          {"tid", track.tid},
          {"ts", Microseconds(start)},
          {"dur", Microseconds(std::max<int64_t>(0, end - start))},
          {"args", std::move(arguments)}};
}

}  // namespace

absl::Status WriteChromeTrace(const ReportInput& input, const v1::Selection& selection, RowSink* sink) {
  const Trace& trace = input.trace;
  const Selector selector(selection);
  uint64_t last_ns = trace.end.time_ns();
  for (const Command& command : trace.commands()) last_ns = std::max({last_ns, command.start_ns, command.end_ns});
  TextRows text(sink);
  Tracks tracks;
  std::string_view separator = "\n";
  const auto add = [&](const Json& event) {
    // Everything is UTF-8 already; what is not would only cost an exception.
    const bool went_well = text.Add(separator) && text.Add(event.dump(-1, ' ', false, Json::error_handler_t::replace));
    separator = ",\n";
    return went_well;
  };
  if (!text.Add("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")) return absl::CancelledError();
  for (const Command& command : trace.commands()) {
    if (!selector.TakesCommand(trace, command)) continue;
    const Tracks::Track track = tracks.Of(command);
    if (track.is_new) {
      const Json name = {{"name", Name(command)}};
      const Json order = {{"sort_index", command.process}};
      if (!add(Metadata(track, "process_name", name)) || !add(Metadata(track, "process_sort_index", order)) ||
          !add(Metadata(track, "thread_name", name))) {
        return absl::CancelledError();
      }
    }
    if (!add(Slice(trace, command, track, selector, last_ns))) return absl::CancelledError();
  }
  if (!text.Add("\n]}\n")) return absl::CancelledError();
  return text.Finish();
}

}  // namespace ocpwatch
