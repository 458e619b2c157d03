// Where the daemon's sockets, its executable and the user's files are.
//
// The runtime directory is $XDG_RUNTIME_DIR/ocp-watch, or else /tmp/ocp-watch-$UID. Whoever owns it hears what is
// recorded and says what the traced programs load, so a directory of another user's, or one that others can write to,
// is refused, and so is a symbolic link.
#ifndef OCPWATCH_CLI_CLIENT_PATHS_H_
#define OCPWATCH_CLI_CLIENT_PATHS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ocpwatch {

// The path alone; nothing is looked at.
std::string RuntimeDirectory();

// OK if RuntimeDirectory() is there and ours alone. NOT_FOUND where it does not exist, FAILED_PRECONDITION with what is
// wrong and what to do otherwise.
absl::Status CheckRuntimeDirectory();
// Makes it where it does not exist, then checks it.
absl::Status MakeRuntimeDirectory();

// $XDG_STATE_HOME/ocp-watch, ~/.local/state/ocp-watch, or below the runtime directory where there is no home.
std::string StateDirectory();

// The daemon's executable: $OCP_WATCHD, next to ocp-watch itself (build tree or installed), or in a libexec beside it.
// NOT_FOUND names the places.
absl::StatusOr<std::string> FindDaemon();

// The places in which FindDaemon looks, for an executable ocp-watch in `directory`.
std::vector<std::string> DaemonCandidates(const std::string& directory);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_CLIENT_PATHS_H_
