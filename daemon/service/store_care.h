// Keeps the store within its configured limits without anybody asking: after builds, in a thread of its own, since a
// collection may take seconds and nobody is to wait for it.
#ifndef OCPWATCH_DAEMON_SERVICE_STORE_CARE_H_
#define OCPWATCH_DAEMON_SERVICE_STORE_CARE_H_

#include <atomic>
#include <thread>

#include "absl/time/time.h"
#include "daemon/store/store.h"

namespace ocpwatch {

class StoreCare {
 public:
  // `store` outlives this; null: there is nothing to care for.
  explicit StoreCare(Store* store) : store_(store) {}
  // Waits for a collection that has begun.
  ~StoreCare();
  StoreCare(const StoreCare&) = delete;
  StoreCare& operator=(const StoreCare&) = delete;

  // A session has ended: collects if the store is too large, or if ages have not been looked at for long. Returns at
  // once. One caller at a time.
  void OnSessionEnd(const StoreLimits& limits);

 private:
  Store* const store_;
  std::thread collector_;
  std::atomic<bool> collecting_ = false;
  absl::Time last_ = absl::InfinitePast();
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_STORE_CARE_H_
