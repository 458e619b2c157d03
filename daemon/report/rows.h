// A command of a Trace as the row that a report sends.
#ifndef OCPWATCH_DAEMON_REPORT_ROWS_H_
#define OCPWATCH_DAEMON_REPORT_ROWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/report/selection.h"
#include "daemon/session/trace.h"
#include "ocpwatch/v1/monitor.pb.h"

namespace ocpwatch {

// Nanoseconds since the session's start; 0 if it was before (a hostile frame, a damaged log).
int64_t SinceStart(uint64_t start_ns, uint64_t time_ns);
inline int64_t SinceStart(const Trace& trace, uint64_t time_ns) { return SinceStart(trace.start_ns, time_ns); }

// Without file lists and depth. `start_ns` is the session's.
v1::Command CommandRow(uint64_t start_ns, const Command& command);
inline v1::Command CommandRow(const Trace& trace, const Command& command) {
  return CommandRow(trace.start_ns, command);
}

// The alphabetical place of each path of a trace, so that the lists of many commands are sorted by numbers: a header is
// in thousands of them.
class PathOrder {
 public:
  explicit PathOrder(const Trace& trace);
  uint32_t Rank(PathId path) const { return rank_[path]; }

 private:
  std::vector<uint32_t> rank_;
};

// Adds reads, writes, missing, listed, removed and checked: sorted, as far as `selector` takes them. A path can be in
// several. `order` is of the same trace; without it, for single commands, the paths are compared.
void AddFileLists(const Trace& trace, const Command& command, const Selector& selector, const PathOrder* order,
                  v1::Command* row);
void AddFileLists(const Trace& trace, const Command& command, const Selector& selector, v1::Command* row);

// Why a program was not observed in full, for people; empty for OPAQUE_NONE.
std::string OpaqueText(v1::OpaqueReason reason, const std::string& detail);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_REPORT_ROWS_H_
