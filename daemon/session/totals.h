// What the summary of a session tells, in one small message: it stands before the stored model in the log, so that the
// summary of a session of any size is one block to read, where the model of three million uses takes half a second.
#ifndef OCPWATCH_DAEMON_SESSION_TOTALS_H_
#define OCPWATCH_DAEMON_SESSION_TOTALS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/session/log_reader.h"
#include "daemon/session/trace.h"
#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

inline constexpr size_t kSlowestCommands = 10;

// `running_ns`: how long the session has run, for commands that still run; 0: up to the last thing that is known.
v1::SessionTotals MakeTotals(const Trace& trace, int64_t running_ns = 0);

// What of a row they tell: as DescribeTrace.
void DescribeTotals(const v1::SessionTotals& totals, v1::SessionRecord* record);

struct LoadedTotals {
  v1::SessionHeader header;
  v1::SessionTotals totals;
  v1::SessionRecord record;  // As MakeRecord.
};

// Reads the totals of a log, or makes them where it has none: of its stored model, or by replay. Errors as LoadLog.
absl::StatusOr<LoadedTotals> LoadTotals(const std::string& path);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_TOTALS_H_
