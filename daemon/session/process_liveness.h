// Whether a process that the session knows still runs, by /proc.
#ifndef OCPWATCH_DAEMON_SESSION_PROCESS_LIVENESS_H_
#define OCPWATCH_DAEMON_SESSION_PROCESS_LIVENESS_H_

#include <cstdint>

#include "daemon/session/tracker.h"

namespace ocpwatch {

// A zombie does not run. A pid whose process started after the last event of ours has been given to another one. Where
// the pid is not known yet (between vfork or posix_spawn and its return), the parent's life decides.
bool IsAlive(const LiveProcess& process);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_PROCESS_LIVENESS_H_
