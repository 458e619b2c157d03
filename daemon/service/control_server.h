// The gRPC server on control.sock, with an accept loop of our own: who connects is checked by SO_PEERCRED before gRPC
// sees a byte, and the socket can be one that systemd made. gRPC itself does not listen at all.
//
// grpc.health.v1 and reflection are served besides the given services.
//
// Threads: one accepts; gRPC has its own, bounded by the options. Shutdown may be called from any other thread.
#ifndef OCPWATCH_DAEMON_SERVICE_CONTROL_SERVER_H_
#define OCPWATCH_DAEMON_SERVICE_CONTROL_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

class ControlServer {
 public:
  // `listener`: a listening, non-blocking Unix stream socket. `services` outlive the server. `max_threads`: how many
  // calls are served at once; one more is refused with RESOURCE_EXHAUSTED.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Start(UniqueFd listener,
                                                              const std::vector<grpc::Service*>& services,
                                                              int max_threads);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Takes no more connections and closes the socket. Calls under way go on. Idempotent.
  void StopListening();

  // Stops listening, cancels what is still under way after `grace`, and returns when all calls have returned.
  void Shutdown(std::chrono::milliseconds grace);

  // Asks the server for its health as a client would, through the process's own memory: true when a gRPC thread
  // answers within `timeout` and the accept loop turns.
  bool Healthy(std::chrono::milliseconds timeout);

 private:
  ControlServer(UniqueFd listener, UniqueFd wake) : listener_(std::move(listener)), wake_(std::move(wake)) {}
  void AcceptLoop();
  void AcceptOne();

  UniqueFd listener_;
  const UniqueFd wake_;  // eventfd: the accept loop looks at stopping_ and turns once.
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> turns_{0};
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::thread thread_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_CONTROL_SERVER_H_
