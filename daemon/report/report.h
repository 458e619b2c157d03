// Answers any question that is asked of a session: a report is a function from a model to a stream of rows.
//
// The model is that of a finished session, of a log, or a copy of a running one's; it stands still while the report is
// made. Rows go out one by one, so a report of any size needs no more memory than its largest row. Not synchronised.
//
// Measured by report_bench on 10 000 commands with 300 files each, rows serialised, on a busy two-core machine: loading
// 300 ms (its totals, all that a summary needs, 0.3 ms), summary of the model 15 ms, tree 370 ms (1200 ms before paths
// were sorted by rank and rows kept their strings), files 220 ms, document 580 ms, compile commands 80 ms, chrome trace
// 1 s.
#ifndef OCPWATCH_DAEMON_REPORT_REPORT_H_
#define OCPWATCH_DAEMON_REPORT_REPORT_H_

#include <string>

#include "absl/status/status.h"
#include "daemon/session/trace.h"
#include "ocpwatch/v1/monitor.pb.h"
#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

class RowSink {
 public:
  virtual ~RowSink() = default;
  // False: the reader has gone away, nothing more is to be written.
  virtual bool Write(const v1::ReportRow& row) = 0;
};

// What a report is made of. All of it outlives the call.
struct ReportInput {
  const Trace& trace;
  const v1::SessionHeader& header;  // For names of functions.
  const v1::Session& session;       // The first row of most views.
  const std::string& log;           // Where the events are; only VIEW_EVENTS reads them.
};

// Writes the rows of request.view() as far as request.selection() takes them, and then, if its limit cut some off,
// left_out. CANCELLED: the sink refused a row. INVALID_ARGUMENT, NOT_FOUND: for people. Errors of the log as LogReader.
absl::Status WriteReport(const ReportInput& input, const v1::ReportRequest& request, RowSink* sink);

// VIEW_SUMMARY of a log's totals: the same rows without a model.
absl::Status WriteSummaryReport(const v1::SessionTotals& totals, const v1::SessionHeader& header,
                                const v1::Session& session, RowSink* sink);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_REPORT_REPORT_H_
