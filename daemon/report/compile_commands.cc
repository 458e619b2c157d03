#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "daemon/report/compiler_call.h"
#include "daemon/report/escape.h"
#include "daemon/report/exports.h"
#include "daemon/report/selection.h"
#include "daemon/session/path.h"

namespace ocpwatch {
namespace {

std::string AbsolutePath(const Command& command, const std::string& path) {
  std::string absolute;
  return ResolvePath("/", command.cwd, path, &absolute) ? absolute : path;
}

// Files that the session removed after it had written them for the last time.
class GoneFiles {
 public:
  explicit GoneFiles(const Trace& trace) {
    absl::flat_hash_map<PathId, uint64_t> removed_ns;
    // A command that did both probably replaced the file, as `install` does.
    ForEachUse(trace, [&](const Use& use) {
      if (IsRemoved(use) && !IsWrite(use)) removed_ns[use.path] = std::max(removed_ns[use.path], use.first_ns);
    });
    ForEachUse(trace, [&](const Use& use) {
      if (!IsWrite(use)) return;
      const auto removed = removed_ns.find(use.path);
      if (removed != removed_ns.end() && removed->second <= use.first_ns) removed_ns.erase(removed);
    });
    for (const auto& [path, ns] : removed_ns) gone_.insert(trace.Path(path));
  }
  bool Contains(const std::string& path) const { return gone_.contains(path); }

 private:
  template <typename Fn>
  static void ForEachUse(const Trace& trace, Fn fn) {
    for (const Command& command : trace.commands()) std::for_each(command.uses.begin(), command.uses.end(), fn);
  }
  absl::flat_hash_set<std::string> gone_;
};

std::string Entry(const Command& command, const CompilerCall& call, const std::string& source) {
  nlohmann::ordered_json entry;
  entry["directory"] = ValidUtf8(command.cwd);
  nlohmann::ordered_json& arguments = entry["arguments"] = nlohmann::ordered_json::array();
  for (const std::string& argument : call.arguments) arguments.push_back(ValidUtf8(argument));
  entry["file"] = ValidUtf8(source);
  if (const std::string output = OutputOf(call, source); !output.empty()) entry["output"] = ValidUtf8(output);
  return entry.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

absl::Status WriteCompileCommands(const ReportInput& input, const v1::Selection& selection, RowSink* sink) {
  const Trace& trace = input.trace;
  const Selector selector(selection);
  const GoneFiles gone(trace);
  // Whatever a compilation starts is a part of it: the compiler behind ccache, behind a wrapper, behind distcc.
  std::vector<bool> compiles(trace.commands().size() + 1);
  absl::flat_hash_set<std::string> written;  // `make clean; make` compiles everything twice.
  TextRows text(sink);
  const char* separator = "[\n";
  for (const Command& command : trace.commands()) {
    const bool is_part = command.parent < command.id && compiles[command.parent];
    const CompilerCall call = is_part ? CompilerCall() : ParseCompilerCall(command.argv, command.executable);
    compiles[command.id] = is_part || !call.sources.empty();
    if (call.sources.empty() || !selector.TakesCommandItself(command)) continue;
    for (const std::string& source : call.sources) {
      const std::string path = AbsolutePath(command, source);
      if (gone.Contains(path) || !selector.TakesPath(path)) continue;
      std::string entry = Entry(command, call, source);
      if (!written.insert(entry).second) continue;
      if (!text.Add(separator) || !text.Add(entry)) return absl::CancelledError();
      separator = ",\n";
    }
  }
  if (!text.Add(*separator == '[' ? "[]\n" : "\n]\n")) return absl::CancelledError();
  return text.Finish();
}

}  // namespace ocpwatch
