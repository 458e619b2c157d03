// The socket intercept.sock: leads a process to its session's ring, and takes the frames of one that cannot map it.
//
//   process: Frame{Proc with token and protocol}      daemon: Reply{Bitmap}, with the ring's memfd (SCM_RIGHTS)
//   process: closes; its frames, Proc first, come through the ring
//   or:      Frame ... (delimited)                    daemon: Reply for each synchronous BeforeCall
//
// The Proc of the greeting reaches the sink only if a frame follows it on the socket: else the ring brings it.
// Refused with a Bitmap that says why: another protocol, a token of no running session, a greeting that is none. A
// frame that cannot be parsed, or that carries another session's token, ends its connection and is damage for its
// process.
//
// Whoever connects is our own user's (peer.h), but need not be well-behaved. Who does not greet within
// kGreetingTimeout, leaves a frame unfinished for kFrameTimeout or does not read its answers is cut off; at
// kMaxConnections the oldest that has not greeted makes room; without descriptors a newcomer is accepted and closed,
// not left to wake us again and again.
//
// Threads: one of its own for all connections.
#ifndef OCPWATCH_DAEMON_INGEST_INTERCEPT_SERVER_H_
#define OCPWATCH_DAEMON_INGEST_INTERCEPT_SERVER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/ingest/frame_decoder.h"
#include "daemon/ingest/ingest_target.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

struct InterceptOptions {
  // Only processes that cannot map the ring stay connected. The server never takes more than half of RLIMIT_NOFILE.
  size_t max_connections = 4096;
  // All buffers together; a greeting or frame has at most kMaxFrame.
  size_t max_held_bytes = size_t{64} << 20;
  absl::Duration greeting_timeout = absl::Seconds(5);
  absl::Duration frame_timeout = absl::Seconds(10);
};

class InterceptServer {
 public:
  // Serves `listener` (ListenUnix, or systemd's) until it is destroyed. `directory` must outlive it.
  static absl::StatusOr<std::unique_ptr<InterceptServer>> Start(UniqueFd listener, SessionDirectory& directory,
                                                                InterceptOptions options = {});
  // Closes all connections.
  ~InterceptServer();
  InterceptServer(const InterceptServer&) = delete;
  InterceptServer& operator=(const InterceptServer&) = delete;

  // Now open. Any thread.
  size_t connections() const { return open_.load(std::memory_order_relaxed); }

 private:
  struct Connection;

  InterceptServer(UniqueFd listener, UniqueFd epoll, UniqueFd wake, SessionDirectory& directory,
                  InterceptOptions options);
  void Run();
  void Accept();
  void Admit(UniqueFd fd);
  void Read(Connection& connection);
  void OnMessage(Connection& connection, std::string_view message);
  void Greet(Connection& connection, std::string_view message);
  void OnLaterFrame(Connection& connection, std::string_view message);
  void Send(Connection& connection, const v1::Reply& reply, int descriptor);
  void Refuse(Connection& connection, std::string why);
  void EndStream(Connection& connection, std::string_view why);
  void CloseDue();
  void Close(Connection& connection);
  int NextTimeoutMs() const;

  const UniqueFd listener_;
  const UniqueFd epoll_;
  const UniqueFd wake_;  // An eventfd: stop.
  UniqueFd spare_;       // Given up for a moment to accept and close a connection when there is no descriptor left.
  SessionDirectory& directory_;
  InterceptOptions options_;
  FrameDecoder decoder_;
  std::list<std::unique_ptr<Connection>> connections_;  // Oldest first.
  size_t held_bytes_ = 0;
  absl::Time listen_again_ = absl::InfiniteFuture();  // The listener is out of epoll until then.
  std::atomic<size_t> open_{0};
  std::thread thread_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_INGEST_INTERCEPT_SERVER_H_
