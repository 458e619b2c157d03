// watchd as a whole: its parts put together in order, the main thread's loop, and an orderly end.
//
//   locks (runtime directory, state directory) → sockets → sessions → intercept.sock → gRPC on control.sock → ready
//
// The end comes by SIGTERM or SIGINT (running sessions become INTERRUPTED, their logs are closed in good order), by
// Shutdown, or after a time without sessions and calls. A Shutdown with `drain` while sessions run hands over: this
// daemon stops listening, takes its sockets away and lets go of both locks, so that its successor can start at once; it
// goes on with the sessions that it has and ends with the last of them. Their rings are its own, their logs are its to
// write until then (they are locked by it), the index takes two writers. Under systemd that cannot be: systemd holds
// the sockets and starts no second main process, so a drain is refused while sessions run.
//
// The watchdog of systemd hears from us only after gRPC, the accept loop and the intercept server have each answered.
//
// Threads: one, the main thread; RequestShutdown from any.
#ifndef OCPWATCH_DAEMON_SERVICE_DAEMON_H_
#define OCPWATCH_DAEMON_SERVICE_DAEMON_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/ingest/intercept_server.h"
#include "daemon/ingest/unique_fd.h"
#include "daemon/service/activation.h"
#include "daemon/service/control_server.h"
#include "daemon/service/monitor_service.h"
#include "daemon/service/notifier.h"
#include "daemon/service/session_registry.h"
#include "daemon/service/state_directory.h"
#include "daemon/service/store_care.h"
#include "daemon/store/store.h"

namespace ocpwatch {

struct DaemonOptions {
  bool foreground = false;                    // Log to stderr; no idle exit unless it is asked for.
  std::string state_directory;                // Empty: the configuration's, else the default.
  std::string preload;                        // Empty: found by itself.
  std::optional<uint32_t> idle_exit_seconds;  // Not set: the configuration's, else the default. 0: never.
  int ready_fd = -1;                          // See notifier.h.
};

class Daemon {
 public:
  explicit Daemon(DaemonOptions options);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Everything up to the first client. An error is for people, and the starter has been told of it already.
  absl::Status Start();
  // Until the end, which is an orderly one.
  void Run();

 private:
  absl::Status Prepare();
  absl::Status Listen();
  absl::Status RequestShutdown(bool drain);
  absl::Status ApplyConfiguration(bool first);
  void HandleSignals(bool* end);
  void HandOver();
  void RemoveSockets();
  void PingWatchdog();
  void Stop();
  bool IdleForTooLong() const;
  int PollTimeoutMs() const;

  const DaemonOptions options_;
  Notifier notifier_;
  UniqueFd signals_;
  UniqueFd wake_;
  v1::Configuration configuration_;
  absl::Duration idle_exit_ = absl::ZeroDuration();  // Zero: never.
  absl::Time next_ping_ = absl::InfiniteFuture();
  std::string runtime_directory_;
  UniqueFd runtime_lock_;
  std::optional<StateDirectory> state_;
  ActivatedSockets sockets_;
  bool owns_socket_files_ = false;
  std::unique_ptr<Store> store_;
  std::unique_ptr<StoreCare> care_;
  std::unique_ptr<SessionRegistry> registry_;
  std::unique_ptr<InterceptServer> intercept_;
  std::unique_ptr<MonitorService> service_;
  std::unique_ptr<ControlServer> control_;

  absl::Mutex mutex_;
  bool shutdown_requested_ ABSL_GUARDED_BY(mutex_) = false;
  bool handed_over_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_DAEMON_H_
