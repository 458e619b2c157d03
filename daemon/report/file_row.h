// A path as the row that a report sends: which commands used it, and how.
#ifndef OCPWATCH_DAEMON_REPORT_FILE_ROW_H_
#define OCPWATCH_DAEMON_REPORT_FILE_ROW_H_

#include "daemon/session/trace.h"
#include "ocpwatch/v1/monitor.pb.h"

namespace ocpwatch {

// Adds `command` to the lists that its use of the row's path belongs to.
void AddToFileRow(const Use& use, CommandId command, v1::File* row);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_REPORT_FILE_ROW_H_
