// A build session: answers each exec (reuse it, or run it), and learns what runs.
//
//   exec or spawn ── asked ──> fingerprint ── records of it ── all observations hold? ──> effects applied, Kill
//                                                          └── else Proceed, a Scope begins
//   calls of what runs ──> observations and changes of its Scope and of all above it
//   its process is gone ──> the Scope becomes an ActionRecord, or is not reusable, and that is said
//
// A call that may change a file is synchronous, so before it happens the recorder looks at what is there, and hashes
// what somebody has read of it and that has not been hashed yet.
//
// Thread-safe. The functions of SessionFollower come from the thread that reads the session's frames, the others from
// the one that serves its client.
#ifndef OCPWATCH_DAEMON_BUILD_RECORDER_H_
#define OCPWATCH_DAEMON_BUILD_RECORDER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "daemon/build/plan.h"
#include "daemon/build/relay.h"
#include "daemon/build/running_actions.h"
#include "daemon/build/write_intents.h"
#include "daemon/session/follower.h"
#include "daemon/store/store.h"
#include "ocpwatch/v1/configuration.pb.h"
#include "ocpwatch/v1/monitor.pb.h"
#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

// What the build sessions of one daemon know of each other.
struct BuildNeighbours {
  WriteIntents intents;
  RunningActions running;
};

struct BuildSetup {
  Store* store = nullptr;  // Outlives the recorder.
  std::shared_ptr<BuildNeighbours> neighbours;
  v1::Configuration configuration;
  v1::SessionHeader header;  // With functions and ops.
  v1::RunRequest::Start start;
};

class BuildRecorder final : public SessionFollower {
 public:
  explicit BuildRecorder(BuildSetup setup);
  ~BuildRecorder() override;

  // If nothing needs to run: puts back what is missing, and returns the record of the whole command.
  std::shared_ptr<const StoredAction> TryWhole(Decisions* decisions);
  // Instead of TryWhole: what would run, the session's own command first. Changes nothing.
  std::vector<PlannedCommand> Plan();
  // After a TryWhole that found nothing: what the command is to find in place of its outputs. `relay` may be null:
  // outputs to pipes and terminals are not captured then.
  std::vector<v1::Substitute> PrepareCommand(std::shared_ptr<Relay> relay);

  v1::BuildTotals Totals() const;

  Decisions OnFrame(const v1::Frame& frame, const Applied& applied, FollowedModel model) override;
  std::optional<v1::Reply> Decide(const v1::Frame& frame, bool must, EarlyAnswer early, FollowedModel model,
                                  Decisions* decisions) override;
  void OnDamage(uint32_t process, FollowedModel model) override;
  void OnCommandStarted(CommandId command, FollowedModel model) override;
  Decisions OnProcessGone(uint32_t process, FollowedModel model) override;
  Decisions OnSessionEnd(FollowedModel model) override;
  bool OnIdle(FollowedModel model, Decisions* decisions) override;

 private:
  class Impl;
  mutable absl::Mutex mutex_;
  const std::unique_ptr<Impl> impl_ ABSL_PT_GUARDED_BY(mutex_);
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_RECORDER_H_
