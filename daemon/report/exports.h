// Sessions in the formats of other tools. The text goes out in pieces, as rows with `text`.
#ifndef OCPWATCH_DAEMON_REPORT_EXPORTS_H_
#define OCPWATCH_DAEMON_REPORT_EXPORTS_H_

#include <string>

#include "absl/status/status.h"
#include "daemon/report/report.h"

namespace ocpwatch {

// compile_commands.json (clang's JSON Compilation Database Format Specification): an entry for each source file that a
// compiler driver was asked to compile. See compiler_call.h.
absl::Status WriteCompileCommands(const ReportInput& input, const v1::Selection& selection, RowSink* sink);

// Chrome's trace event format (JSON object form), for Perfetto and chrome://tracing: a track for each process, a
// complete event for each command, files among its arguments.
absl::Status WriteChromeTrace(const ReportInput& input, const v1::Selection& selection, RowSink* sink);

// Graphviz: commands are boxes, files ellipses, edges point the way the data went.
absl::Status WriteDot(const ReportInput& input, const v1::Selection& selection, RowSink* sink);

// Collects text and sends it in rows of a convenient size.
class TextRows {
 public:
  explicit TextRows(RowSink* sink) : sink_(sink) {}
  // False: the reader has gone away.
  bool Add(const std::string& text) {
    text_ += text;
    return text_.size() < kRowBytes || Flush();
  }
  absl::Status Finish() { return Flush() ? absl::OkStatus() : absl::CancelledError(); }

 private:
  static constexpr size_t kRowBytes = size_t{64} << 10;  // Far below gRPC's 4 MiB, few enough calls.
  bool Flush() {
    v1::ReportRow row;
    row.set_text(std::move(text_));
    text_.clear();
    return sink_->Write(row);
  }
  RowSink* const sink_;
  std::string text_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_REPORT_EXPORTS_H_
