// A session as ingest sees it: where its frames go, who answers its synchronous calls, and whether a process still
// lives.
//
// Implemented by the session. `sink()` and `decider()` are called with mutex() held, so one call at a time for each
// target, whether the frame came out of the ring or from a socket; the others may be called from any thread.
#ifndef OCPWATCH_DAEMON_INGEST_INGEST_TARGET_H_
#define OCPWATCH_DAEMON_INGEST_INGEST_TARGET_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "daemon/ingest/frame_sink.h"
#include "ocpwatch/v1/intercept.pb.h"

namespace ocpwatch {

class Ring;

using EarlyAnswer = absl::FunctionRef<void(const v1::Reply&)>;

// Answers a synchronous call. `frame` has a BeforeCall with a reply slot; the sink has had it already.
class CallDecider {
 public:
  virtual ~CallDecider() = default;
  // A Proceed or a Kill; everything else that this session has to say waits for it. Unless it `must` answer: nothing,
  // if it would take longer. Then the process waits on, and the same is asked again some time later.
  // `early` may be called once with what will be returned: the process goes on while the decider does what else is to
  // be done before the next frame.
  virtual std::optional<v1::Reply> Decide(const v1::Frame& frame, bool must, EarlyAnswer early) = 0;
};

// Lets every call happen: record mode.
class ProceedAlways final : public CallDecider {
 public:
  std::optional<v1::Reply> Decide(const v1::Frame& frame, bool must, EarlyAnswer early) override;
};

class IngestTarget {
 public:
  IngestTarget() = default;
  virtual ~IngestTarget() = default;
  IngestTarget(const IngestTarget&) = delete;
  IngestTarget& operator=(const IngestTarget&) = delete;

  virtual FrameSink& sink() = 0;
  // ProceedAlways unless overridden.
  virtual CallDecider& decider();
  // Lives as long as the target.
  virtual Ring& ring() = 0;
  // False only if the process is known to be gone: PidRuns() of its pid is false. A process that the session has not
  // heard of is gone if its parent is.
  virtual bool ProcessAlive(uint32_t process) const = 0;

  std::mutex& mutex() { return mutex_; }

 private:
  std::mutex mutex_;
  ProceedAlways proceed_;
};

// The sessions that run, by token. Called from the thread of the intercept server.
class SessionDirectory {
 public:
  virtual ~SessionDirectory() = default;
  // Null where no running session has this token (16 bytes). The server keeps only a weak pointer.
  virtual std::shared_ptr<IngestTarget> Find(std::string_view token) = 0;
};

// Whether the pid is that of a process that runs or is stopped; a zombie does not, it will never write again.
bool PidRuns(int32_t pid);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_INGEST_INGEST_TARGET_H_
