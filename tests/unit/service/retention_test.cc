#include "daemon/service/retention.h"

#include <catch2/catch.hpp>

namespace ocpwatch {
namespace {

constexpr int64_t kDayNs = int64_t{24} * 3600 * 1'000'000'000;

v1::SessionRecord Session(const char* id, int64_t day, uint64_t bytes, v1::SessionState state = v1::SESSION_FINISHED) {
  v1::SessionRecord record;
  record.set_id(id);
  record.set_start_unix_ns(day * kDayNs);
  record.set_log_bytes(bytes);
  record.set_state(state);
  return record;
}

using Ids = std::vector<std::string>;

TEST_CASE("Without bounds nothing expires") {
  CHECK(Expired({Session("1", 0, 1'000'000), Session("2", 1, 1)}, RetentionBounds{}, 1000 * kDayNs).empty());
}

TEST_CASE("The oldest go until the rest fits") {
  const std::vector<v1::SessionRecord> records = {Session("1", 0, 50), Session("2", 1, 50), Session("3", 2, 50)};
  CHECK(Expired(records, {.max_log_bytes = 100}, 3 * kDayNs) == Ids{"1"});
  CHECK(Expired(records, {.max_log_bytes = 99}, 3 * kDayNs) == Ids{"1", "2"});
}

TEST_CASE("The newest session stays, however large or old") {
  CHECK(Expired({Session("1", 0, 500)}, {.max_log_bytes = 100, .max_age_days = 1}, 30 * kDayNs).empty());
}

TEST_CASE("Sessions that run or linger stay and count") {
  const std::vector<v1::SessionRecord> records = {Session("1", 0, 90, v1::SESSION_RUNNING),
                                                  Session("2", 1, 5, v1::SESSION_LINGERING), Session("3", 2, 10),
                                                  Session("4", 2, 1, v1::SESSION_INTERRUPTED)};
  CHECK(Expired(records, {.max_log_bytes = 100}, 3 * kDayNs) == Ids{"3"});
}

TEST_CASE("Old ones go whatever their size") {
  const std::vector<v1::SessionRecord> records = {Session("1", 0, 1), Session("2", 5, 1), Session("3", 9, 1)};
  CHECK(Expired(records, {.max_age_days = 7}, 10 * kDayNs) == Ids{"1"});
}

TEST_CASE("A configuration that says nothing bounds the logs, and 0 lifts the bound") {
  v1::Configuration configuration;
  CHECK(BoundsOf(configuration).max_log_bytes > 0);
  configuration.set_max_log_bytes(0);
  CHECK(BoundsOf(configuration).max_log_bytes == 0);
}

}  // namespace
}  // namespace ocpwatch
