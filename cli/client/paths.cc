#include "cli/client/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ocpwatch {
namespace {

std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

std::string OwnDirectory() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length <= 0) return "";
  const std::string exe(path, static_cast<size_t>(length));
  return exe.substr(0, exe.rfind('/'));
}

}  // namespace

std::string RuntimeDirectory() {
  const std::string base = Environment("XDG_RUNTIME_DIR");
  // The specification says that a relative path is to be ignored.
  if (!base.empty() && base[0] == '/') return base + "/ocp-watch";
  return absl::StrCat("/tmp/ocp-watch-", getuid());
}

absl::Status CheckRuntimeDirectory() {
  const std::string directory = RuntimeDirectory();
  struct stat status = {};
  if (lstat(directory.c_str(), &status) != 0) {
    if (errno == ENOENT) return absl::NotFoundError(absl::StrCat(directory, " does not exist"));
    return absl::FailedPreconditionError(absl::StrCat("cannot look at ", directory, ": ", strerror(errno)));
  }
  if (S_ISLNK(status.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(directory, " is a symbolic link; remove it"));
  }
  if (!S_ISDIR(status.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(directory, " is not a directory; remove it"));
  }
  if (status.st_uid != geteuid()) {
    return absl::FailedPreconditionError(absl::StrCat(directory, " belongs to user ", status.st_uid, ", not to you (",
                                                      geteuid(), "); set XDG_RUNTIME_DIR to a directory of your own"));
  }
  if ((status.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(directory, " is open to other users; chmod 700 ", directory));
  }
  return absl::OkStatus();
}

absl::Status MakeRuntimeDirectory() {
  const std::string directory = RuntimeDirectory();
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::FailedPreconditionError(absl::StrCat("cannot make ", directory, ": ", strerror(errno),
                                                      "; XDG_RUNTIME_DIR must name a directory that you can write to"));
  }
  return CheckRuntimeDirectory();
}

std::string StateDirectory() {
  const std::string state = Environment("XDG_STATE_HOME");
  if (!state.empty() && state[0] == '/') return state + "/ocp-watch";
  const std::string home = Environment("HOME");
  if (!home.empty() && home[0] == '/') return home + "/.local/state/ocp-watch";
  return RuntimeDirectory() + "/state";
}

std::vector<std::string> DaemonCandidates(const std::string& directory) {
  const std::string above = directory.substr(0, directory.rfind('/'));
  return {directory + "/watchd", above + "/daemon/watchd", above + "/libexec/ocp-watch/watchd"};
}

absl::StatusOr<std::string> FindDaemon() {
  const std::string chosen = Environment("OCP_WATCHD");
  if (!chosen.empty()) {
    if (access(chosen.c_str(), X_OK) == 0) return chosen;
    return absl::NotFoundError(absl::StrCat("OCP_WATCHD names ", chosen, ": ", strerror(errno)));
  }
  const std::vector<std::string> candidates = DaemonCandidates(OwnDirectory());
  for (const std::string& candidate : candidates) {
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return absl::NotFoundError(
      absl::StrCat("the daemon's executable watchd is not installed; looked for ", absl::StrJoin(candidates, ", ")));
}

}  // namespace ocpwatch
