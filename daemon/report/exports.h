// Sessions in the formats of other tools. The text goes out in pieces, as rows with `text`.
#ifndef OCPWATCH_DAEMON_REPORT_EXPORTS_H_
#define OCPWATCH_DAEMON_REPORT_EXPORTS_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "daemon/report/report.h"

namespace ocpwatch {

// compile_commands.json (clang's JSON Compilation Database Format Specification): an entry for each source file that a
// compiler driver was asked to compile (compiler_call.h), failed compilations too. Not taken: what a compilation starts
// itself (the compiler behind ccache), an entry that is there already, and sources that the session removed again:
// nobody can compile configure's conftest.c a second time. Nor are sources that only a response file names (`cc
// @args`): a log has no contents of files, and only gcc starts a cc1 whose arguments would tell them, clang does not.
// Options in a response file are kept as `@args`. The selection's paths are about the sources.
absl::Status WriteCompileCommands(const ReportInput& input, const v1::Selection& selection, RowSink* sink);

// Chrome's trace event format (JSON object form), for Perfetto and chrome://tracing: a track for each process, a
// complete event for each command, the first of its files among its arguments.
absl::Status WriteChromeTrace(const ReportInput& input, const v1::Selection& selection, RowSink* sink);

// Graphviz: commands are boxes, files ellipses, edges point the way the data went. All files that the selection takes:
// `--under .` leaves out the system's.
absl::Status WriteDot(const ReportInput& input, const v1::Selection& selection, RowSink* sink);

// Collects text and sends it in rows of a convenient size.
class TextRows {
 public:
  explicit TextRows(RowSink* sink) : sink_(sink) {}
  // False: the reader has gone away.
  bool Add(std::string_view text) {
    text_ += text;
    return text_.size() < kRowBytes || Flush();
  }
  absl::Status Finish() { return text_.empty() || Flush() ? absl::OkStatus() : absl::CancelledError(); }

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
