// The inside of Session; see session.h.
#ifndef OCPWATCH_DAEMON_SESSION_SESSION_IMPL_H_
#define OCPWATCH_DAEMON_SESSION_SESSION_IMPL_H_

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "daemon/ingest/ring.h"
#include "daemon/ingest/ring_loop.h"
#include "daemon/session/log_writer.h"
#include "daemon/session/session.h"
#include "daemon/session/tracker.h"

namespace ocpwatch {

class Session::Impl final : public TrackerObserver {
 public:
  Impl(SessionOptions options, std::unique_ptr<Ring> ring, std::unique_ptr<LogWriter> log);
  ~Impl() override;

  // Everything below is called by Session's function of the same name.
  void OnFrame(const v1::Frame& frame, std::string_view bytes) ABSL_LOCKS_EXCLUDED(mutex);
  void OnDamage(uint32_t process, std::string_view what, uint64_t frames) ABSL_LOCKS_EXCLUDED(mutex);
  void Note(const Decisions& decisions) ABSL_LOCKS_EXCLUDED(mutex);
  bool OnIdle() ABSL_LOCKS_EXCLUDED(mutex);
  std::optional<v1::Reply> Decide(const v1::Frame& frame, bool must, EarlyAnswer early) ABSL_LOCKS_EXCLUDED(mutex);
  v1::SessionRecord Finish(const v1::SessionEnd& end, bool linger) ABSL_LOCKS_EXCLUDED(mutex, finish_mutex);
  v1::SessionRecord Record() ABSL_LOCKS_EXCLUDED(mutex);
  void WithTrace(absl::FunctionRef<void(const Trace&)> fn) ABSL_LOCKS_EXCLUDED(mutex);
  bool ProcessAlive(uint32_t process) ABSL_LOCKS_EXCLUDED(mutex);
  std::shared_ptr<Subscription> Subscribe(bool events) ABSL_LOCKS_EXCLUDED(mutex);
  bool WaitClosed(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex);
  // Starts to read the ring on behalf of `target`.
  void Listen(IngestTarget& target);

  // TrackerObserver; under the mutex.
  void OnCommandStarted(CommandId command) override;
  void OnCommandEnded(CommandId command) override;
  void OnProcessGone(uint32_t process) override;

  const SessionOptions options;
  const std::unique_ptr<Ring> ring;
  const std::unique_ptr<LogWriter> log;

 private:
  // A query's lock. The ring's thread lets it go first: it takes the mutex a million times a second, and a mutex
  // is not fair.
  class QueryLock;

  void LetQueriesIn();
  FollowedModel Model() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // What the follower said becomes part of model and log.
  void Keep(const Decisions& decisions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Processes that the last event ended.
  void TellGone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void Tell(Notification notification) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void TellEvent(const v1::Event& event, const Applied& applied) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  bool AnyoneLives() ABSL_LOCKS_EXCLUDED(mutex);
  void Linger() ABSL_LOCKS_EXCLUDED(mutex);
  // Ends reading, model and log.
  void CloseUp() ABSL_LOCKS_EXCLUDED(mutex);
  void SetState(v1::SessionState state) ABSL_LOCKS_EXCLUDED(mutex);

  absl::Mutex finish_mutex;  // One Finish at a time. Taken before `mutex`.
  absl::Mutex mutex;
  Trace trace_ ABSL_GUARDED_BY(mutex);
  Tracker tracker_ ABSL_GUARDED_BY(mutex);
  std::vector<uint32_t> gone_ ABSL_GUARDED_BY(mutex);  // Not told to the follower yet.
  v1::SessionState state_ ABSL_GUARDED_BY(mutex) = v1::SESSION_RUNNING;
  bool deaf_ ABSL_GUARDED_BY(mutex) = false;  // The model is closed: later frames are dropped.
  bool stop_lingering_ ABSL_GUARDED_BY(mutex) = false;
  bool ended_ ABSL_GUARDED_BY(mutex) = false;
  std::vector<std::weak_ptr<Subscription>> subscriptions_ ABSL_GUARDED_BY(mutex);
  bool tells_events_ ABSL_GUARDED_BY(mutex) = false;
  std::atomic<int> queries_{0};
  std::unique_ptr<RingLoop> loop_;
  std::thread linger_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_SESSION_IMPL_H_
