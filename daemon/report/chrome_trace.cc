#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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

// The process is both track group and track: commands of one process follow each other and never overlap.
Json Metadata(const Command& command, const char* what, const std::string& value) {
  return {{"ph", "M"}, {"name", what}, {"pid", command.process}, {"tid", command.process}, {"args", {{"name", value}}}};
}

Json Slice(const Trace& trace, const Command& command, const Selector& selector, uint64_t last_ns) {
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
          {"pid", command.process},
          {"tid", command.process},
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
  absl::flat_hash_set<uint32_t> named;
  std::string separator = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n";
  const auto add = [&](const Json& event) {
    const bool went_well = text.Add(separator + event.dump());
    separator = ",\n";
    return went_well;
  };
  for (const Command& command : trace.commands()) {
    if (!selector.TakesCommand(trace, command)) continue;
    if (named.insert(command.process).second) {
      const std::string name = absl::StrCat(Name(command), " (pid ", command.pid, ")");
      if (!add(Metadata(command, "process_name", name)) || !add(Metadata(command, "thread_name", name))) {
        return absl::CancelledError();
      }
    }
    if (!add(Slice(trace, command, selector, last_ns))) return absl::CancelledError();
  }
  if (named.empty() && !text.Add(separator)) return absl::CancelledError();
  if (!text.Add("\n]}\n")) return absl::CancelledError();
  return text.Finish();
}

}  // namespace ocpwatch
