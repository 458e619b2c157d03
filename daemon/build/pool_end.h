// The reading end of one pipe or terminal of the pool, from its being given to a command until nobody writes any more.
//
// Whether a command has opened it at all has to be known: one that could not (another mount namespace, no descriptor
// free) writes to what it inherited, and its output is not captured. The kernel tells:
//  - a pipe's read end that is opened while there is no writer reports a hang-up only after a writer has come and gone.
//    So each use opens its own, by /proc/self/fd.
//  - a terminal's master reports a hang-up whenever no slave is open. Each time that a slave is closed wakes its
//  waiters,
//    so an edge-triggered epoll that has heard of the state before the use is told again only after it.
//
// Not synchronised.
#ifndef OCPWATCH_DAEMON_BUILD_POOL_END_H_
#define OCPWATCH_DAEMON_BUILD_POOL_END_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "daemon/build/outside_target.h"
#include "daemon/build/pool.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

class PoolEnd {
 public:
  PoolEnd(Pool::Pipe pipe, int32_t client_pid);
  explicit PoolEnd(Pool::Terminal terminal);

  bool terminal() const { return terminal_; }
  int32_t number() const { return number_; }
  const std::string& path() const { return path_; }
  const Place& place() const { return place_; }

  // False once it has been closed for its writers, until Renew.
  bool usable() const { return fd_.valid(); }
  // The other end of what it can be told by poll or epoll that there is something to read. -1 while not in use.
  int poll_fd() const { return terminal_ ? edges_.get() : reader_.get(); }

  // A command gets it now. Of a terminal, `original` is one whose size and modes are copied.
  absl::Status Begin(int original);
  // What `Read` has left: nothing for the moment; nothing any more; maybe more.
  enum class State { kEmpty, kEnded, kMore };
  // Appends what stands in it, up to `bound` bytes and what one read brings.
  State Read(size_t bound, std::string* out);
  // It has been opened by somebody since Begin. After a Read that left nothing.
  bool taken() const { return taken_; }
  // Not in use any more. Only where no writer is left.
  void End();

  // Nobody here reads any more; as soon as the client has closed its copy too, writers get SIGPIPE.
  void Close();
  // The pipe that the client has put in the place of a closed one, if it has.
  bool Renew(const UniqueFd& client);
  // A terminal, to copy its modes from.
  int fd() const { return fd_.get(); }

 private:
  bool HearEdges();

  const bool terminal_;
  const int32_t number_;
  const std::string path_;
  Place place_;
  UniqueFd fd_;      // Shared with the client.
  UniqueFd reader_;  // Of a pipe in use.
  UniqueFd edges_;   // Of a terminal: the epoll.
  bool taken_ = false;
  bool closed_edge_ = false;  // A slave has been closed since Begin.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_POOL_END_H_
