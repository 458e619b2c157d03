// A session that runs: its ring and the thread that reads it, its model, its log, and those who listen.
//
//   Start ── RUNNING ── Finish ──┬── nobody of the session lives ── FINISHED, on_change
//                                └── LINGERING: once a second it looks whether they still do ── FINISHED, on_change
//
// Threads: the ring's reader calls OnFrame; connections of the intercept socket may call it too; gRPC threads ask. One
// mutex guards model and log order, so the log holds exactly the order that the model saw. A query that waits gets
// the mutex before the next frame does.
//
// If the log cannot be written any more (disk full), it ends there, the model goes on and `truth` says so.
#ifndef OCPWATCH_DAEMON_SESSION_SESSION_H_
#define OCPWATCH_DAEMON_SESSION_SESSION_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/ingest/frame_sink.h"
#include "daemon/ingest/ingest_target.h"
#include "daemon/session/append_file.h"
#include "daemon/session/follower.h"
#include "daemon/session/subscription.h"
#include "daemon/session/trace.h"
#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

struct SessionOptions {
  // id, name, mode, argv, cwd and behaviours. Start fills in what is left empty: times, host, kernel, version, uid,
  // and functions and ops from the call table; behaviours too (the table's defaults for the mode).
  v1::SessionHeader header;
  std::string log_path;
  // For tests: written instead of a new file at log_path.
  std::unique_ptr<AppendFile> log_file;
  // Goes along with the session. May be null.
  std::shared_ptr<SessionFollower> follower;
  // Called when the state has changed (LINGERING, FINISHED), without any lock, from a thread of the session or from
  // Finish. May not destroy the session.
  std::function<void(const v1::SessionRecord&)> on_change;
};

class Session final : public IngestTarget, public FrameSink, public CallDecider {
 public:
  // Makes the ring and the log. Errors: of the log's file or of memory, for people.
  static absl::StatusOr<std::shared_ptr<Session>> Start(SessionOptions options);
  // Closes the session if that has not happened (end unknown, without lingering), and joins the threads.
  ~Session() override;

  // Starts the threads: to be called before any process learns of the ring. Of a session that has ended it does
  // nothing.
  void Listen();

  const v1::SessionHeader& header() const;

  // IngestTarget.
  FrameSink& sink() override { return *this; }
  CallDecider& decider() override;
  Ring& ring() override;
  bool ProcessAlive(uint32_t process) const override;

  // FrameSink.
  void OnFrame(const v1::Frame& frame, std::string_view bytes) override;
  void OnDamage(uint32_t process, std::string_view what, uint64_t frames) override;
  bool OnIdle() override;

  // Decisions of the follower that it did not make in answer to an event.
  void Note(const Decisions& decisions);

  // CallDecider.
  std::optional<v1::Reply> Decide(const v1::Frame& frame, bool must, EarlyAnswer early) override;

  // The command has ended. Reads what the ring still holds; then the session is FINISHED, or LINGERING if some of its
  // processes live and `linger`. Called twice, the second call can only end the lingering. Returns the session's row.
  v1::SessionRecord Finish(const v1::SessionEnd& end, bool linger = true);
  bool closed() const;  // FINISHED
  // False if it is not FINISHED after `timeout`.
  bool WaitClosed(absl::Duration timeout) const;

  v1::SessionRecord Record() const;

  // Calls `fn` with the model, which stands still meanwhile, and with it the session: be brief.
  void WithTrace(absl::FunctionRef<void(const Trace&)> fn) const;

  // Puts what the log writer still holds into the file, so that a LogReader sees everything up to now.
  void FlushLog();

  // Listens to commands, or to every event. Ends with kClosed; drop the pointer to stop.
  std::shared_ptr<Subscription> Subscribe(bool events);

 private:
  class Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_SESSION_H_
