#include <algorithm>
#include <nlohmann/json.hpp>

#include "daemon/report/compiler_call.h"
#include "daemon/report/escape.h"
#include "daemon/report/exports.h"
#include "daemon/report/selection.h"

namespace ocpwatch {
namespace {

// A wrapper (ccache, a shell script named gcc, /usr/bin/cc of a cross tool) that executes the compiler for the same
// sources in the same directory has told it all already.
bool IsToldByAncestor(const Trace& trace, const Command& command, const CompilerCall& call) {
  const Command* ancestor = trace.Find(command.parent);
  while (ancestor != nullptr) {
    const CompilerCall above = ParseCompilerCall(ancestor->argv);
    if (ancestor->cwd == command.cwd && above.sources == call.sources && above.output == call.output) return true;
    if (above.sources.empty() && !above.arguments.empty()) break;
    if (above.sources.empty()) return false;  // make, a shell: no compiler, so no wrapper.
    ancestor = ancestor->parent < ancestor->id ? trace.Find(ancestor->parent) : nullptr;
  }
  return false;
}

std::string Entry(const Command& command, const CompilerCall& call, const std::string& source) {
  nlohmann::ordered_json entry;
  entry["directory"] = ValidUtf8(command.cwd);
  nlohmann::ordered_json& arguments = entry["arguments"] = nlohmann::ordered_json::array();
  for (const std::string& argument : call.arguments) arguments.push_back(ValidUtf8(argument));
  entry["file"] = ValidUtf8(source);
  const bool is_first = source == call.sources.front();
  if (!call.output.empty()) {
    entry["output"] =
        ValidUtf8(is_first || call.output_is_given ? call.output : DerivedOutput(source, call.output.ends_with(".s")));
  }
  return entry.dump(2);
}

}  // namespace

absl::Status WriteCompileCommands(const ReportInput& input, const v1::Selection& selection, RowSink* sink) {
  const Selector selector(selection);
  TextRows text(sink);
  const char* separator = "[\n";
  for (const Command& command : input.trace.commands()) {
    const CompilerCall call = ParseCompilerCall(command.argv);
    if (call.sources.empty() || !selector.TakesCommand(input.trace, command)) continue;
    if (IsToldByAncestor(input.trace, command, call)) continue;
    for (const std::string& source : call.sources) {
      if (!text.Add(separator + Entry(command, call, source))) return absl::CancelledError();
      separator = ",\n";
    }
  }
  if (!text.Add(*separator == '[' ? "[]\n" : "\n]\n")) return absl::CancelledError();
  return text.Finish();
}

}  // namespace ocpwatch
