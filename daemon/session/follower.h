// Somebody who goes along with a running session, event by event, and answers its synchronous calls: the build recorder
// is one. The session does not know what for.
//
// Every function is called under the session's mutex, so by one thread at a time, in the order of the events, and each
// call is seen after the model has taken it in. What they return is told to the model and kept in the log.
#ifndef OCPWATCH_DAEMON_SESSION_FOLLOWER_H_
#define OCPWATCH_DAEMON_SESSION_FOLLOWER_H_

#include <optional>
#include <vector>

#include "daemon/ingest/ingest_target.h"
#include "daemon/session/trace.h"
#include "daemon/session/tracker.h"
#include "ocpwatch/v1/intercept.pb.h"
#include "ocpwatch/v1/ring.h"
#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

// The model as it is now. Paths may be interned; nothing else may be changed.
struct FollowedModel {
  Trace& trace;
  const Tracker& tracker;
  RingHeader& ring;  // Its next_process is ahead of the model, by the processes of which no frame has been read yet.
};

using Decisions = std::vector<v1::Decision>;

class SessionFollower {
 public:
  virtual ~SessionFollower() = default;

  virtual Decisions OnFrame(const v1::Frame& frame, const Applied& applied, FollowedModel model) = 0;
  // The frame has just been given to OnFrame, or there was no answer when it was asked about before; its process waits.
  // Nothing: ask again later; not if it `must` answer. `early`: see CallDecider.
  virtual std::optional<v1::Reply> Decide(const v1::Frame& frame, bool must, EarlyAnswer early, FollowedModel model,
                                          Decisions* decisions) = 0;
  // Something of `process` (0: of anybody) is missing.
  virtual void OnDamage(uint32_t process, FollowedModel model) = 0;
  virtual void OnCommandStarted(CommandId command, FollowedModel model) = 0;
  // Called for a process once it is known to be gone.
  virtual Decisions OnProcessGone(uint32_t process, FollowedModel model) = 0;
  // The session's command has ended; the model knows how.
  virtual Decisions OnSessionEnd(FollowedModel model) = 0;
  // There is no event to be had: see FrameSink::OnIdle.
  virtual bool OnIdle(FollowedModel, Decisions*) { return false; }
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_FOLLOWER_H_
