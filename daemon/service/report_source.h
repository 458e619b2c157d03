// What a report is made of, standing still while it is made: a finished session or a log file as loaded, a running
// session as copied. The copy holds the session up for a few milliseconds (its ring takes that in); the rows are then
// made and sent, at whatever speed the client reads, without it.
#ifndef OCPWATCH_DAEMON_SERVICE_REPORT_SOURCE_H_
#define OCPWATCH_DAEMON_SERVICE_REPORT_SOURCE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/service/session_registry.h"
#include "daemon/session/totals.h"
#include "daemon/session/trace.h"
#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

struct ReportSource {
  v1::SessionHeader header;
  v1::SessionRecord record;
  const Trace* trace = nullptr;
  std::string log;              // Path; everything up to now is in the file.
  std::shared_ptr<void> owner;  // Of `trace`.
};

// Of a session, running or not. Errors name the log.
absl::StatusOr<ReportSource> SourceOf(const SessionRegistry::Found& found);

// Of a log file, wherever it came from. INVALID_ARGUMENT if `path` is not absolute; else as LogReader::Open.
absl::StatusOr<ReportSource> SourceOfLog(const std::string& path);

// What the summary of a session that has ended, or of a log, is made of: not its model.
absl::StatusOr<LoadedTotals> TotalsOf(const SessionRegistry::Found& found);
absl::StatusOr<LoadedTotals> TotalsOfLog(const std::string& path);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_REPORT_SOURCE_H_
