#include "daemon/report/report.h"

#include "daemon/report/exports.h"
#include "daemon/report/views.h"

namespace ocpwatch {

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
  v1::ReportRow row;
  *row.mutable_session() = input.session;
  if (!sink->Write(row)) return absl::CancelledError();
  switch (request.view()) {
    case v1::VIEW_SUMMARY:
      return WriteSummary(input, sink);
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
