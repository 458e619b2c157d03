// The socket intercept.sock: leads a process to its session's ring, and takes the frames of one that cannot map it
// (intercept_connection.h says how). This is its accepting side, which outlives whatever clients do.
//
// Whoever connects is our own user's (peer.h), but need not be well-behaved. Who does not greet within the greeting
// timeout, leaves a frame unfinished or does not read its answers is cut off; at the greatest number of connections the
// oldest that has not greeted makes room; without descriptors a newcomer is accepted and closed, not left to wake us
// again and again.
//
// Threads: one of its own for all connections.
#ifndef OCPWATCH_DAEMON_INGEST_INTERCEPT_SERVER_H_
#define OCPWATCH_DAEMON_INGEST_INTERCEPT_SERVER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string_view>
#include <thread>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "daemon/ingest/frame_decoder.h"
#include "daemon/ingest/ingest_target.h"
#include "daemon/ingest/intercept_connection.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

struct InterceptOptions {
  // Only processes that cannot map the ring stay connected. The server never takes more than half of RLIMIT_NOFILE.
  size_t max_connections = 4096;
  // All buffers together; a greeting or frame has at most kMaxFrame.
  size_t max_held_bytes = size_t{64} << 20;
  // From connect to a whole greeting. A process that is stopped in between is not recorded.
  int64_t greeting_timeout_ns = 5'000'000'000;
  // From the first byte of a frame to its last.
  int64_t frame_timeout_ns = 10'000'000'000;
};

class InterceptServer {
 public:
  // Serves `listener` (ListenUnix, or systemd's) until it is destroyed. `directory` must outlive it. Errors: INTERNAL,
  // RESOURCE_EXHAUSTED: no descriptors.
  static absl::StatusOr<std::unique_ptr<InterceptServer>> Start(UniqueFd listener, SessionDirectory& directory,
                                                                InterceptOptions options = {});
  // Closes all connections.
  ~InterceptServer();
  InterceptServer(const InterceptServer&) = delete;
  InterceptServer& operator=(const InterceptServer&) = delete;

  // Now open. Any thread.
  size_t connections() const { return open_.load(std::memory_order_relaxed); }

 private:
  using List = std::list<InterceptConnection>;

  InterceptServer(UniqueFd listener, UniqueFd epoll, UniqueFd wake, SessionDirectory& directory,
                  InterceptOptions options);
  void Run();
  void Accept();
  void Admit(UniqueFd socket, int64_t now_ns);
  bool MakeRoom();
  void Shed();
  void Listen(bool on);
  void Serve(int fd, int64_t now_ns);
  void Sweep(int64_t now_ns);
  void Close(List::iterator connection);
  int TimeoutMs(int64_t now_ns) const;

  const UniqueFd listener_;
  const UniqueFd epoll_;
  const UniqueFd wake_;  // An eventfd: stop.
  UniqueFd spare_;       // Given up for a moment to accept and close a connection when there is no descriptor left.
  SessionDirectory& directory_;
  const InterceptOptions options_;
  const int64_t sweep_interval_ns_;
  FrameDecoder decoder_;
  List connections_;  // Oldest first.
  absl::flat_hash_map<int, List::iterator> by_fd_;
  size_t held_bytes_ = 0;
  int64_t next_sweep_ns_ = 0;
  int64_t listen_again_ns_ = 0;  // 0: we listen.
  std::atomic<size_t> open_{0};
  std::thread thread_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_INGEST_INTERCEPT_SERVER_H_
