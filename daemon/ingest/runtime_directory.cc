#include "daemon/ingest/runtime_directory.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace ocpwatch {
namespace {

// The longest name in the directory.
constexpr char kLongestSocket[] = "/intercept.sock";

absl::Status CheckSocketPath(const std::string& path) {
  if (path.size() <= kMaxSocketPath) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": a socket's path has at most ", kMaxSocketPath, " bytes, this one has ", path.size(),
                   "; set XDG_RUNTIME_DIR to a directory with a shorter path, or unset it"));
}

// Whether the user's own runtime directory can be used; no reason given, since there is another place.
bool IsOwnDirectory(const char* path) {
  if (path == nullptr || path[0] != '/') return false;
  struct stat status {};
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid();
}

absl::Status MakeOwnDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::FailedPreconditionError(absl::StrCat("cannot make the directory ", path, ": ", strerror(errno)));
  }
  // Looked at through a descriptor, so that it is this one that was checked, and no link.
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!fd.valid() || fstat(fd.get(), &status) != 0) {
    const char* why = errno == ELOOP || errno == ENOTDIR ? "it is not a directory" : strerror(errno);
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": ", why, "; the daemon's sockets belong there: remove what is in its place"));
  }
  if (status.st_uid != geteuid()) {
    return absl::FailedPreconditionError(absl::StrCat(path, " belongs to user ", status.st_uid, ", not to user ",
                                                      geteuid(), "; set XDG_RUNTIME_DIR to a directory of your own"));
  }
  if ((status.st_mode & 0777) != 0700 && fchmod(fd.get(), 0700) != 0) {
    return absl::FailedPreconditionError(absl::StrCat("cannot make ", path, " private: ", strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> RuntimeDirectory() { return RuntimeDirectoryIn(getenv("XDG_RUNTIME_DIR"), "/tmp"); }

absl::StatusOr<std::string> RuntimeDirectoryIn(const char* xdg_runtime_dir, const std::string& temporary) {
  std::string path = IsOwnDirectory(xdg_runtime_dir) ? absl::StrCat(xdg_runtime_dir, "/ocp-watch")
                                                     : absl::StrCat(temporary, "/ocp-watch-", geteuid());
  if (absl::Status status = CheckSocketPath(path + kLongestSocket); !status.ok()) return status;
  if (absl::Status status = MakeOwnDirectory(path); !status.ok()) return status;
  return path;
}

absl::StatusOr<UniqueFd> ListenUnix(const std::string& path) {
  if (absl::Status status = CheckSocketPath(path); !status.ok()) return status;
  struct stat status {};
  if (lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) {
      return absl::FailedPreconditionError(absl::StrCat(path, " is in the way: it is not a socket; remove it"));
    }
    if (unlink(path.c_str()) != 0) {
      return absl::FailedPreconditionError(absl::StrCat("cannot replace ", path, ": ", strerror(errno)));
    }
  }
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return absl::InternalError(absl::StrCat("socket: ", strerror(errno)));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), path.size());
  // The mode that bind gives to the file is that of the socket less the umask: nobody sees it with more rights.
  if (fchmod(fd.get(), 0600) != 0 || bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd.get(), kListenBacklog) != 0) {
    return absl::InternalError(absl::StrCat("cannot listen on ", path, ": ", strerror(errno)));
  }
  return fd;
}

}  // namespace ocpwatch
