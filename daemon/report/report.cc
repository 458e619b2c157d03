#include "daemon/report/report.h"

#include "daemon/report/exports.h"
#include "daemon/report/views.h"
#include "daemon/session/totals.h"

namespace ocpwatch {

namespace {

absl::Status WriteSession(const v1::Session& session, RowSink* sink) {
  v1::ReportRow row;
  *row.mutable_session() = session;
  return sink->Write(row) ? absl::OkStatus() : absl::CancelledError();
}

}  // namespace

absl::Status WriteSummaryReport(const v1::SessionTotals& totals, const v1::SessionHeader& header,
                                const v1::Session& session, RowSink* sink) {
  if (absl::Status status = WriteSession(session, sink); !status.ok()) return status;
  return WriteSummary(totals, header, sink);
}

absl::Status WriteReport(const ReportInput& input, const v1::ReportRequest& request, RowSink* sink) {
  const v1::Selection& selection = request.selection();
  switch (request.view()) {
    case v1::VIEW_COMPILE_COMMANDS:
      return WriteCompileCommands(input, selection, sink);
    case v1::VIEW_CHROME_TRACE:
      return WriteChromeTrace(input, selection, sink);
    case v1::VIEW_DOT:
      return WriteDot(input, selection, sink);
    default:
      break;
  }
  if (absl::Status status = WriteSession(input.session, sink); !status.ok()) return status;
  switch (request.view()) {
    case v1::VIEW_SUMMARY:
      return WriteSummary(MakeTotals(input.trace, input.session.duration_ns()), input.header, sink);
    case v1::VIEW_COMMANDS:
      return WriteCommands(input, selection, CommandOrder::kById, /*with_files=*/false, sink);
    case v1::VIEW_TREE:
      return WriteCommands(input, selection, CommandOrder::kTree, /*with_files=*/true, sink);
    case v1::VIEW_FILES:
      return WriteFiles(input, selection, sink);
    case v1::VIEW_EVENTS:
      return WriteEvents(input, selection, sink);
    case v1::VIEW_ORIGIN:
      return WriteOrigin(input, selection, sink);
    case v1::VIEW_DOCUMENT: {
      const absl::Status status = WriteCommands(input, selection, CommandOrder::kById, /*with_files=*/true, sink);
      return status.ok() ? WriteFiles(input, selection, sink) : status;
    }
    default:
      return absl::InvalidArgumentError("this daemon does not know the view that was asked for");
  }
}

}  // namespace ocpwatch
