// The views that report.h can make, one function each; the exports are in exports.h. All write their rows to `sink` and
// return CANCELLED when it refuses one.
#ifndef OCPWATCH_DAEMON_REPORT_VIEWS_H_
#define OCPWATCH_DAEMON_REPORT_VIEWS_H_

#include "absl/status/status.h"
#include "daemon/report/report.h"

namespace ocpwatch {

absl::Status WriteSummary(const v1::SessionTotals& totals, const v1::SessionHeader& header, RowSink* sink);

enum class CommandOrder { kById, kTree };
// Command rows. In tree order a command that is not taken itself is there, without lists, if one below it is taken.
absl::Status WriteCommands(const ReportInput& input, const v1::Selection& selection, CommandOrder order,
                           bool with_files, RowSink* sink);

// A row for each path, sorted.
absl::Status WriteFiles(const ReportInput& input, const v1::Selection& selection, RowSink* sink);

// selection.file(): its File row, then an Origin for it and for each file of this session that it was made from.
// NOT_FOUND if no command of the session used it.
absl::Status WriteOrigin(const ReportInput& input, const v1::Selection& selection, RowSink* sink);

// An EventRow for each event of the log, in its order.
absl::Status WriteEvents(const ReportInput& input, const v1::Selection& selection, RowSink* sink);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_REPORT_VIEWS_H_
