// Starts watchd where none runs.
//
// Twenty clients that find no daemon at once start one: start.lock in the runtime directory is held from the look for a
// daemon until the new one says "ready" on a pipe (--ready-fd); whoever waited for the lock then finds it running.
// The daemon is nobody's child in the end: own session, directory /, null stdio, no descriptor but the pipe's, no
// signal blocked or ignored, and of the environment only what says where things are, since it serves all terminals
// of the user and must not depend on the first one.
#ifndef OCPWATCH_CLI_CLIENT_START_DAEMON_H_
#define OCPWATCH_CLI_CLIENT_START_DAEMON_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ocpwatch {

// A connected descriptor to control.sock (blocking, close-on-exec). UNAVAILABLE where no daemon listens.
absl::StatusOr<int> ConnectSocket();

// Makes sure that a daemon runs, and connects. An error says why it did not start, in the daemon's own words.
absl::StatusOr<int> StartAndConnect();

// The part of `environment` ("NAME=value") that a daemon gets.
std::vector<std::string> DaemonEnvironment(char* const* environment);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_CLIENT_START_DAEMON_H_
