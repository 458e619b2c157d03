// What a `follow` listens to: a bounded queue of what happens in a running session.
//
// The session never waits for a listener: what does not fit is counted as missed. A session without listeners pays one
// comparison for an event. The queue is filled by the session's threads and emptied by the listener's.
#ifndef OCPWATCH_DAEMON_SESSION_SUBSCRIPTION_H_
#define OCPWATCH_DAEMON_SESSION_SUBSCRIPTION_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/session/tracker.h"

namespace ocpwatch {

struct Notification {
  enum class Kind { kCommandStarted, kCommandEnded, kEvent, kClosed };
  Kind kind = Kind::kClosed;
  CommandId command = 0;  // Look it up by Session::WithTrace; it may have been taken back.
  // Of kEvent:
  v1::Event event{};  // frame or damage
  Applied applied{};
  std::string path{};  // Absolute; empty where there is none.
  std::string path2{};
};

class Subscription {
 public:
  // A frame is about 100 bytes, so this is some 16 MiB in the worst usual case.
  static constexpr size_t kMaxQueued = 65536;
  static constexpr size_t kMaxQueuedBytes = size_t{16} << 20;

  explicit Subscription(bool events) : events_(events) {}

  // Waits up to `timeout` for the next one. nullopt: nothing came. After kClosed nothing comes any more.
  std::optional<Notification> Next(absl::Duration timeout);
  // How many did not fit since the last call.
  uint64_t TakeMissed();

  // For the session.
  bool wants_events() const { return events_; }
  void Push(Notification notification);

 private:
  const bool events_;
  absl::Mutex mutex_;
  std::deque<Notification> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t missed_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_SUBSCRIPTION_H_
