// Which ended sessions the configured bounds no longer allow.
#ifndef OCPWATCH_DAEMON_SERVICE_RETENTION_H_
#define OCPWATCH_DAEMON_SERVICE_RETENTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/store/store.h"
#include "ocpwatch/v1/configuration.pb.h"
#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

struct RetentionBounds {
  uint64_t max_log_bytes = 0;  // Of all logs together. 0: no bound.
  uint32_t max_age_days = 0;   // Since the end. 0: no bound.

  bool operator==(const RetentionBounds&) const = default;
};

RetentionBounds BoundsOf(const v1::Configuration& configuration);
// The same for the store of actions.
StoreLimits StoreLimitsOf(const v1::Configuration& configuration);

// The ids to remove, oldest first. `records` oldest first. The newest ended session always stays: somebody has just
// recorded it and will ask for it. Running ones count, but stay.
std::vector<std::string> Expired(const std::vector<v1::SessionRecord>& records, const RetentionBounds& bounds,
                                 int64_t now_unix_ns);

// Neither running nor lingering.
bool HasEnded(const v1::SessionRecord& record);
// When an ended session ended; 0 where that is not known.
int64_t EndUnixNs(const v1::SessionRecord& record);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_RETENTION_H_
