#include "daemon/service/state_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/service/lock_file.h"

namespace ocpwatch {
namespace {

absl::Status MakeDirectories(const std::string& path) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    // Whatever is there already keeps its mode.
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      return absl::FailedPreconditionError(absl::StrCat("cannot make the directory ", part, ": ", strerror(errno)));
    }
    if (end == std::string::npos) return absl::OkStatus();
  }
}

absl::Status MakeWritable(const std::string& path) {
  if (absl::Status status = MakeDirectories(path); !status.ok()) return status;
  struct stat stat_buffer;
  if (stat(path.c_str(), &stat_buffer) != 0 || !S_ISDIR(stat_buffer.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a directory"));
  }
  if (stat_buffer.st_uid != geteuid()) {
    return absl::PermissionDeniedError(absl::StrCat(path, " belongs to another user (uid ", stat_buffer.st_uid, ")"));
  }
  if (access(path.c_str(), W_OK | X_OK) != 0) {
    return absl::PermissionDeniedError(absl::StrCat("cannot write to ", path, ": ", strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace

std::string StateDirectory::DefaultPath(const std::string& runtime_directory) {
  std::string path;
  const char* base = getenv("XDG_STATE_HOME");
  const char* home = getenv("HOME");
  if (base != nullptr && base[0] == '/') {
    path = absl::StrCat(base, "/ocp-watch");
  } else if (home != nullptr && home[0] == '/') {
    path = absl::StrCat(home, "/.local/state/ocp-watch");
  }
  if (!path.empty() && MakeWritable(path).ok()) return path;
  return absl::StrCat(runtime_directory, "/state");
}

absl::StatusOr<StateDirectory> StateDirectory::Open(const std::string& path) {
  if (absl::Status status = MakeWritable(path); !status.ok()) return status;
  auto lock = LockFile(path + "/lock");
  if (!lock.ok()) {
    if (!absl::IsAlreadyExists(lock.status())) return lock.status();
    return absl::AlreadyExistsError(absl::StrCat(std::string(lock.status().message()), " already writes to ", path,
                                                 "; `ocp-watch status` shows it, `ocp-watch stop` ends it"));
  }
  return StateDirectory(path, *std::move(lock));
}

}  // namespace ocpwatch
