#include "daemon/service/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace ocpwatch {
namespace {

std::string Holder(int fd) {
  char text[32] = {};
  const ssize_t size = pread(fd, text, sizeof text - 1, 0);
  const int pid = size > 0 ? atoi(text) : 0;
  return pid > 0 ? absl::StrCat("watchd with pid ", pid) : std::string("another watchd");
}

}  // namespace

absl::StatusOr<UniqueFd> LockFile(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return absl::FailedPreconditionError(absl::StrCat("cannot open ", path, ": ", strerror(errno)));
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return absl::AlreadyExistsError(Holder(fd.get()));
    return absl::FailedPreconditionError(absl::StrCat("cannot lock ", path, ": ", strerror(errno)));
  }
  const std::string pid = absl::StrCat(getpid(), "\n");
  // Without the pid (a full disk) the lock holds all the same.
  if (ftruncate(fd.get(), 0) != 0 || pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) errno = 0;
  return fd;
}

}  // namespace ocpwatch
