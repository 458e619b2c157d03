// Where sessions are kept, and the promise that only one daemon at a time writes there.
//
//   <state>/lock              flock'ed by the daemon; holds its pid
//   <state>/index.db          the index of sessions (daemon/session/session_index.h)
//   <state>/sessions/<id>.ocplog
//   <state>/watchd.log        the daemon's own log
//
// Used by the main thread at start and end.
#ifndef OCPWATCH_DAEMON_SERVICE_STATE_DIRECTORY_H_
#define OCPWATCH_DAEMON_SERVICE_STATE_DIRECTORY_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

class StateDirectory {
 public:
  // Makes `path` (absolute; parents too, mode 0700) and locks it. ALREADY_EXISTS where another daemon has it, with its
  // pid; PERMISSION_DENIED or FAILED_PRECONDITION where it cannot be made or is somebody else's.
  static absl::StatusOr<StateDirectory> Open(const std::string& path);

  // $XDG_STATE_HOME/ocp-watch, else ~/.local/state/ocp-watch; where neither can be made and written to (no HOME, or a
  // read-only one), <runtime_directory>/state: a session is worth more than its place.
  static std::string DefaultPath(const std::string& runtime_directory);

  const std::string& path() const { return path_; }

  // Lets a successor in; this daemon goes on writing to the logs of its running sessions alone.
  void Unlock() { lock_.reset(); }

 private:
  StateDirectory(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  UniqueFd lock_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_STATE_DIRECTORY_H_
