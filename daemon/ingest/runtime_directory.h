// Where the daemon's sockets and locks are, and that nobody else could have put anything there.
//
// $XDG_RUNTIME_DIR/ocp-watch; /tmp/ocp-watch-<uid> where that variable is unset, not absolute, or names a directory
// that is not there or belongs to somebody else (after `su`, say). A client finds the daemon by the same rule. The
// directory must be a real one, ours, with no rights for others: in /tmp anybody can make one of that name first, and
// then we refuse.
//
// A socket's path has at most kMaxSocketPath bytes. A longer one is an error that says so, here rather than in a
// traced process; a way round by /proc/self/fd would serve the daemon but not those that connect.
#ifndef OCPWATCH_DAEMON_INGEST_RUNTIME_DIRECTORY_H_
#define OCPWATCH_DAEMON_INGEST_RUNTIME_DIRECTORY_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

// sockaddr_un::sun_path holds 108 bytes with the NUL.
inline constexpr size_t kMaxSocketPath = 107;

// Connections that wait to be accepted; the kernel cuts it to net.core.somaxconn.
inline constexpr int kListenBacklog = 512;

// The directory, made (0700) if it was not there. Errors: FAILED_PRECONDITION with what stands in the way and what to
// do; INVALID_ARGUMENT: the sockets' paths would be too long.
absl::StatusOr<std::string> RuntimeDirectory();

// The same for a given $XDG_RUNTIME_DIR (null: not set) and directory of temporary files.
absl::StatusOr<std::string> RuntimeDirectoryIn(const char* xdg_runtime_dir, const std::string& temporary);

// A listening socket at `path`, 0600, close-on-exec, non-blocking. Replaces what is there if it is a socket: only
// whoever holds the daemon's lock may call this. Errors: INVALID_ARGUMENT: the path is too long; FAILED_PRECONDITION:
// something else is there; INTERNAL.
absl::StatusOr<UniqueFd> ListenUnix(const std::string& path);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_INGEST_RUNTIME_DIRECTORY_H_
