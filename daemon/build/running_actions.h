// Which actions the build sessions of one daemon are running, so that of equal actions wanted at the same time one
// runs: the others wait for it and reuse what it made.
//
// Thread-safe; its mutex is the innermost.
#ifndef OCPWATCH_DAEMON_BUILD_RUNNING_ACTIONS_H_
#define OCPWATCH_DAEMON_BUILD_RUNNING_ACTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace ocpwatch {

class RunningActions {
 public:
  // Held as long as the action may yet be of use to others: until it has been kept, or it is known that it will not be.
  // The RunningActions outlive it.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept { *this = std::move(other); }
    Ticket& operator=(Ticket&& other) noexcept {
      std::swap(actions_, other.actions_);
      std::swap(fingerprint_, other.fingerprint_);
      return *this;
    }
    ~Ticket() { Return(); }
    void Return();
    // In which process it runs, where that was not known at its beginning.
    void SetPid(int32_t pid);
    bool held() const { return actions_ != nullptr; }

   private:
    friend class RunningActions;
    RunningActions* actions_ = nullptr;
    std::string fingerprint_;
  };

  // Who runs an action: `owner` is its session, by whatever address.
  struct Runner {
    const void* owner = nullptr;
    int32_t pid = 0;  // 0: not known yet.
  };

  // The action is about to be run. Not held if somebody runs it already.
  Ticket Begin(const std::string& fingerprint, Runner runner);
  // The pid of the process of another session than `owner` that runs it.
  std::optional<int32_t> Elsewhere(const std::string& fingerprint, const void* owner) const;

 private:
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Runner> running_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_RUNNING_ACTIONS_H_
