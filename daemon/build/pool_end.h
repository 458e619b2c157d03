// The reading end of one pipe or terminal of the pool, from its being given to a command until nobody writes any more.
//
// Whether a command has opened it at all has to be known: one that could not (another mount namespace, no descriptor
// free) writes to what it inherited, and its output is not captured. A pipe without writers and a terminal whose slave
// is not open look the same before and after their use; but each time that a writer goes away those who wait are woken,
// so an edge-triggered epoll that has heard of the state before the use is told again only after it. (A pipe's wake
// happens under its lock, so with the end of file it has been. Of a terminal it may come a moment after the hang-up can
// be seen, which is why the one that has been free the longest is used next.)
//
// Rejected: another read end for each use, by /proc/self/fd. It would not report the hang-up of an earlier writer if
// the pipe had a name; one without a name does.
//
// Not synchronised.
#ifndef OCPWATCH_DAEMON_BUILD_POOL_END_H_
#define OCPWATCH_DAEMON_BUILD_POOL_END_H_

#include <cstdint>
#include <string>

#include "daemon/build/outside_target.h"
#include "daemon/build/pool.h"
#include "daemon/ingest/unique_fd.h"
#include "ocpwatch/v1/keeper.h"

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
  // Readable when something has happened since the last Read, or that one has left something. For epoll.
  int poll_fd() const { return edges_.get(); }

  // A command gets it now. Of a terminal, `original` is one whose size and modes are copied. Its keeper gets `route`
  // and `target`, the descriptor that its bytes go to.
  void Begin(int original, int target, const KeptRoute& route);
  // Nobody writes to it any more: out of the keeper with it.
  void End();
  // What `Read` has left: nothing for the moment; nothing any more; maybe more.
  enum class State { kEmpty, kEnded, kMore };
  // Appends what stands in it, at most `bound` bytes.
  State Read(size_t bound, std::string* out);
  // It has been opened by somebody since Begin. After a Read that left nothing.
  bool taken() const { return taken_; }

  // Nobody here reads any more; as soon as the client has closed its copy too, writers get SIGPIPE.
  void Close();
  // The pipe that the client has put in the place of a closed one, if it has.
  bool Renew(const UniqueFd& client);
  // A terminal, to copy its modes from.
  int fd() const { return fd_.get(); }

 private:
  // From here on edges_ tells of fd_.
  void ListenTo(int operation);
  // Whether a writer has gone since Begin.
  bool HearEdges();

  const bool terminal_;
  const int32_t number_;
  const std::string path_;
  Place place_;
  UniqueFd fd_;     // Shared with the client.
  UniqueFd edges_;  // The epoll.
  UniqueFd keeper_;
  bool taken_ = false;
  bool hung_up_ = false;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_POOL_END_H_
