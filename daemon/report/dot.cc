#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "daemon/report/escape.h"
#include "daemon/report/exports.h"
#include "daemon/report/selection.h"

namespace ocpwatch {
namespace {

// A label is for reading; the whole command line is in its tooltip.
constexpr size_t kLabelBytes = 60;

// The inside of a quoted string of the DOT language. Control characters would not be valid in the SVG made of it.
std::string Inside(std::string_view bytes) {
  std::string text;
  for (const char c : ValidUtf8(bytes)) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '\n') {
      text += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      text.push_back(' ');
    } else {
      if (c == '"' || c == '\\') text.push_back('\\');
      text.push_back(c);
    }
  }
  return text;
}

std::string Shortened(const std::string& text) {
  if (text.size() <= kLabelBytes) return text;
  size_t end = kLabelBytes;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;  // Not in the middle of a character.
  return text.substr(0, end) + "...";
}

}  // namespace

absl::Status WriteDot(const ReportInput& input, const v1::Selection& selection, RowSink* sink) {
  const Trace& trace = input.trace;
  const Selector selector(selection);
  TextRows text(sink);
  if (!text.Add("digraph session {\n  rankdir=LR;\n  node [fontname=\"sans-serif\", fontsize=10];\n")) {
    return absl::CancelledError();
  }
  absl::flat_hash_set<PathId> shown;
  for (const Command& command : trace.commands()) {
    if (!selector.TakesCommand(trace, command)) continue;
    const std::string line = absl::StrJoin(command.argv, " ");
    std::string part = absl::StrCat("  c", command.id, " [shape=box, style=filled, fillcolor=lightblue, label=\"",
                                    Inside(Shortened(line)), "\", tooltip=\"", Inside(line), "\"];\n");
    for (const Use& use : command.uses) {
      if ((!IsRead(use) && !IsWrite(use)) || !selector.TakesUse(trace, use)) continue;
      if (shown.insert(use.path).second) {
        absl::StrAppend(&part, "  f", use.path, " [label=\"", Inside(trace.Path(use.path)), "\"];\n");
      }
      if (IsRead(use)) absl::StrAppend(&part, "  f", use.path, " -> c", command.id, ";\n");
      if (IsWrite(use)) absl::StrAppend(&part, "  c", command.id, " -> f", use.path, ";\n");
    }
    if (!text.Add(part)) return absl::CancelledError();
  }
  if (!text.Add("}\n")) return absl::CancelledError();
  return text.Finish();
}

}  // namespace ocpwatch
