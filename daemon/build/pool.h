// The pipes and terminals that a build session's commands write to: made by the client, shared with the daemon.
//
// The client keeps them too, so that the daemon's death never breaks the user's command: see cli/output_pool.h. The
// daemon's copies are the same open file descriptions, taken from the client by pidfd_getfd, which the client allows by
// PR_SET_PTRACER where Yama is in force.
//
// Each has a keeper, in which stands where it leads: ocpwatch/v1/keeper.h.
//
// A pipe of the pool has no writer until a command opens "/proc/<client>/fd/<number>"; a terminal is opened by its
// slave's path. What the client says is checked: nothing but pipes and terminals is taken.
#ifndef OCPWATCH_DAEMON_BUILD_POOL_H_
#define OCPWATCH_DAEMON_BUILD_POOL_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/ingest/unique_fd.h"
#include "ocpwatch/v1/monitor.pb.h"

namespace ocpwatch {

struct Pool {
  struct Pipe {
    int32_t number = -1;  // In the client.
    UniqueFd read;
    UniqueFd keeper;
  };
  struct Terminal {
    int32_t number = -1;  // In the client.
    UniqueFd master;
    std::string slave;  // Its path.
    UniqueFd keeper;
  };

  int32_t client_pid = 0;
  UniqueFd client;  // A pidfd.
  std::vector<Pipe> pipes;
  std::vector<Terminal> terminals;
};

// A client offers 64 pipes and 16 terminals. One that offers more than this does not mean well.
inline constexpr int kMaxPool = 1024;

// The pool that `client_pid` offers. An error where the client is gone or may not be asked (PERMISSION_DENIED), or
// where one of the descriptors is something else than what it is said to be.
absl::StatusOr<Pool> TakePool(int32_t client_pid, const v1::RunRequest::Outputs& offered);

// One pipe, again: the client has put a new one in the place of one that was closed.
absl::StatusOr<UniqueFd> TakePipe(const UniqueFd& client, int32_t number);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_POOL_H_
