// The daemon's sessions: those that run, by id and by token, and through the index those that have ended.
//
// A session that runs is shared by whoever uses it (its RunSession call, queries, connections); the registry lets go of
// it in Reap, after it has closed. The index is written by one thread at a time and never under the registry's mutex: a
// slow disk delays the caller alone.
//
// Thread-safe.
#ifndef OCPWATCH_DAEMON_SERVICE_SESSION_REGISTRY_H_
#define OCPWATCH_DAEMON_SERVICE_SESSION_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/ingest/ingest_target.h"
#include "daemon/service/retention.h"
#include "daemon/session/session.h"
#include "daemon/session/session_index.h"
#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

// Each running session has a ring of 1 MiB, a thread of its own and one of gRPC's. A fleet's agents on one
// machine are a few dozen.
inline constexpr size_t kMaxRunningSessions = 256;

class SessionRegistry final : public SessionDirectory {
 public:
  struct Found {
    v1::SessionRecord record;
    std::shared_ptr<Session> live;  // Null: not one of this daemon's running sessions; read record.log.
  };
  struct Totals {
    uint32_t stored = 0;
    uint64_t log_bytes = 0;
    uint64_t events = 0;  // Since the registry was opened.
  };

  // `on_close` is called, from any thread, when a session has closed and Reap has something to do.
  static absl::StatusOr<std::unique_ptr<SessionRegistry>> Open(const std::string& state_directory,
                                                               std::function<void()> on_close);
  ~SessionRegistry() override;

  // Starts a session with what `header` says; the rest is filled in. RESOURCE_EXHAUSTED: too many run; UNAVAILABLE: the
  // daemon is about to end.
  // `follow` makes the session's follower of the complete header; may be null.
  using FollowFn = std::function<std::shared_ptr<SessionFollower>(const v1::SessionHeader&)>;
  absl::StatusOr<std::shared_ptr<Session>> Start(v1::SessionHeader header, const FollowFn& follow = nullptr);

  // SessionDirectory.
  std::shared_ptr<IngestTarget> Find(std::string_view token) override;

  // By id, else the last of that name; empty: the last one. NOT_FOUND with a sentence for people.
  absl::StatusOr<Found> Lookup(const std::string& id_or_name);
  // The same among the running ones only.
  absl::StatusOr<std::shared_ptr<Session>> LookupRunning(const std::string& id_or_name);
  // Oldest first; running ones as they are now.
  absl::StatusOr<std::vector<v1::SessionRecord>> List(bool running_only);

  // Removes an ended session and its log; the bytes that it had. FAILED_PRECONDITION: it runs.
  absl::StatusOr<uint64_t> Remove(const std::string& id);

  // Running or lingering ones.
  size_t running() const;
  Totals totals();
  // Since then no session runs; now, while one does.
  absl::Time idle_since() const;

  // Start refuses from here on.
  void StopAccepting();
  // Ends every session that still runs: its log is closed in good order, its state is INTERRUPTED.
  void InterruptAll(const std::string& why);
  // Lets go of closed sessions and removes those that `bounds` no longer allow. Once after each on_close is enough.
  void Reap(const RetentionBounds& bounds);

  const std::vector<std::string>& notes() const { return index_->notes(); }

 private:
  SessionRegistry(std::unique_ptr<SessionIndex> index, std::function<void()> on_close);
  size_t CountRunning() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnChange(const v1::SessionRecord& record);
  // False while no bound can have been reached since the last look, `more_log_bytes` after it.
  bool MayHaveExpired(const RetentionBounds& bounds, uint64_t more_log_bytes);
  // The row of a session of a daemon that has handed over to this one: made true, should that have been killed since.
  void RefreshForeign(v1::SessionRecord* record);
  // The session of a row, if it is one of ours; then the row becomes what the session is now.
  std::shared_ptr<Session> Refresh(v1::SessionRecord* record);

  const std::unique_ptr<SessionIndex> index_;
  const std::function<void()> on_close_;
  std::set<std::string> foreign_;  // Ids that belong to a daemon that has handed over. Fixed at Open.
  mutable absl::Mutex mutex_;
  std::map<uint64_t, std::shared_ptr<Session>> live_ ABSL_GUARDED_BY(mutex_);  // By id.
  size_t starting_ ABSL_GUARDED_BY(mutex_) = 0;
  bool accepting_ ABSL_GUARDED_BY(mutex_) = true;
  uint64_t closed_events_ ABSL_GUARDED_BY(mutex_) = 0;  // Of sessions let go of.
  absl::Time idle_since_ ABSL_GUARDED_BY(mutex_);
  // What Reap knows from the last time that it read the whole list. Only its thread's.
  struct Look {
    RetentionBounds bounds;
    uint64_t room = 0;  // Log bytes to come until the bound is reached.
    absl::Time time = absl::InfinitePast();
  } look_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_SESSION_REGISTRY_H_
