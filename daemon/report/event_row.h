// An event as the row that a report or `follow` sends: what was called, as strace would put it.
#ifndef OCPWATCH_DAEMON_REPORT_EVENT_ROW_H_
#define OCPWATCH_DAEMON_REPORT_EVENT_ROW_H_

#include <cstdint>
#include <string_view>

#include "daemon/session/tracker.h"
#include "ocpwatch/v1/monitor.pb.h"
#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

// `applied` is what the tracker made of the event, `path` its path (absolute; empty: none). False: the event is none
// that a person would want to see (header, end, summary).
bool MakeEventRow(const v1::SessionHeader& header, const v1::Event& event, const Applied& applied,
                  std::string_view path, v1::EventRow* row);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_REPORT_EVENT_ROW_H_
