#include "daemon/service/store_care.h"

#include <spdlog/spdlog.h>

#include "absl/time/clock.h"

namespace ocpwatch {
namespace {

// A collection costs a look at every action; what is over the limit now is so for a minute more.
constexpr absl::Duration kAtMostEach = absl::Minutes(1);
constexpr absl::Duration kAgesEach = absl::Hours(12);

}  // namespace

StoreCare::~StoreCare() {
  if (collector_.joinable()) collector_.join();
}

void StoreCare::OnSessionEnd(const StoreLimits& limits) {
  if (store_ == nullptr || collecting_) return;
  const absl::Duration since = absl::Now() - last_;
  if (since < kAtMostEach) return;
  const v1::StatsReply stats = store_->Stats();
  const bool too_large = limits.max_bytes > 0 && stats.blob_bytes() + stats.record_bytes() > limits.max_bytes;
  if (!too_large && (limits.max_age_days == 0 || since < kAgesEach)) return;
  last_ = absl::Now();
  if (collector_.joinable()) collector_.join();
  collecting_ = true;
  collector_ = std::thread([this, limits] {
    const auto done = store_->CollectGarbage(limits, /*dry_run=*/false);
    if (!done.ok()) {
      spdlog::warn("the store could not be cleaned: {}", std::string(done.status().message()));
    } else if (done->removed_actions() + done->removed_blobs() > 0) {
      spdlog::info("the store was cleaned: {} actions, {} contents, {} bytes", done->removed_actions(),
                   done->removed_blobs(), done->freed_bytes());
    }
    collecting_ = false;
  });
}

}  // namespace ocpwatch
