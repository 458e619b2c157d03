#include "daemon/service/retention.h"

#include "daemon/service/configuration.h"

namespace ocpwatch {

RetentionBounds BoundsOf(const v1::Configuration& configuration) {
  RetentionBounds bounds;
  bounds.max_log_bytes = configuration.has_max_log_bytes() ? configuration.max_log_bytes() : kDefaultMaxLogBytes;
  bounds.max_age_days = configuration.max_age_days();
  return bounds;
}

StoreLimits StoreLimitsOf(const v1::Configuration& configuration) {
  StoreLimits limits;
  limits.max_bytes = configuration.has_max_store_bytes() ? configuration.max_store_bytes() : kDefaultMaxStoreBytes;
  limits.max_age_days =
      configuration.has_max_action_age_days() ? configuration.max_action_age_days() : kDefaultMaxActionAgeDays;
  return limits;
}

std::vector<std::string> Expired(const std::vector<v1::SessionRecord>& records, const RetentionBounds& bounds,
                                 int64_t now_unix_ns) {
  uint64_t total = 0;
  const v1::SessionRecord* newest = nullptr;
  for (const v1::SessionRecord& record : records) {
    total += record.log_bytes();
    if (HasEnded(record)) newest = &record;
  }
  constexpr int64_t kDayNs = int64_t{24} * 3600 * 1'000'000'000;
  std::vector<std::string> expired;
  for (const v1::SessionRecord& record : records) {
    if (!HasEnded(record) || &record == newest) continue;
    const bool too_old =
        bounds.max_age_days > 0 && (now_unix_ns - EndUnixNs(record)) / kDayNs >= int64_t{bounds.max_age_days};
    const bool too_much = bounds.max_log_bytes > 0 && total > bounds.max_log_bytes;
    if (!too_old && !too_much) continue;
    total -= record.log_bytes();
    expired.push_back(record.id());
  }
  return expired;
}

bool HasEnded(const v1::SessionRecord& record) {
  return record.state() == v1::SESSION_FINISHED || record.state() == v1::SESSION_INTERRUPTED;
}

int64_t EndUnixNs(const v1::SessionRecord& record) { return record.start_unix_ns() + record.duration_ns(); }

}  // namespace ocpwatch
