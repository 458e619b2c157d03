#include "daemon/build/outside_target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ocpwatch {
namespace {

// A terminal that says that it can be written to may have room for one byte: then we wait for the terminal, as the
// command would have done. A pipe has room for PIPE_BUF.
constexpr size_t kTerminalPart = 256;

absl::StatusOr<Place> PlaceOf(const struct stat& status) {
  if (S_ISFIFO(status.st_mode) || S_ISREG(status.st_mode) || S_ISSOCK(status.st_mode)) {
    return Place{status.st_dev, status.st_ino, 0};
  }
  if (S_ISCHR(status.st_mode)) return Place{0, 0, status.st_rdev};
  return absl::FailedPreconditionError("neither a pipe, nor a socket, nor a file, nor a terminal");
}

bool NobodyReads(int fd, bool is_socket) {
  pollfd state = {fd, 0, 0};
  return poll(&state, 1, 0) == 1 && (state.revents & (is_socket ? POLLERR | POLLHUP : POLLERR)) != 0;
}

std::string NameOf(int32_t pid, int32_t fd) { return absl::StrCat("/proc/", pid, "/fd/", fd); }

}  // namespace

absl::StatusOr<Place> Place::Of(const std::string& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) return absl::FailedPreconditionError(absl::StrCat("cannot look at ", path));
  return PlaceOf(status);
}

absl::StatusOr<Place> Place::Of(int fd) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return absl::FailedPreconditionError("not open");
  return PlaceOf(status);
}

absl::StatusOr<std::unique_ptr<OutsideTarget>> OutsideTarget::Open(int32_t pid, int32_t number, const Place& place) {
  const std::string path = NameOf(pid, number);
  struct stat status = {};
  if (stat(path.c_str(), &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))) {
    UniqueFd fd(open(path.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    if (fd.valid()) return Make(place, std::move(fd), Way::kAtOnce);
    // ENXIO: nobody reads that pipe.
    if (errno != EACCES && errno != EPERM) {
      return absl::FailedPreconditionError(absl::StrCat(path, ": cannot be opened for writing"));
    }
  }
  return Borrow(pid, number, place);
}

absl::StatusOr<std::unique_ptr<OutsideTarget>> OutsideTarget::Borrow(int32_t pid, int32_t number, const Place& place) {
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), number, 0)));
  struct stat status = {};
  if (!fd.valid() || fstat(fd.get(), &status) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(NameOf(pid, number), ": cannot be had"));
  }
  if (!S_ISSOCK(status.st_mode)) {
    return Make(place, std::move(fd), S_ISREG(status.st_mode) ? Way::kAtOnce : Way::kInParts);
  }
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(fd.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) {
    return absl::FailedPreconditionError(absl::StrCat(NameOf(pid, number), ": a socket of messages"));
  }
  return Make(place, std::move(fd), Way::kSocket);
}

absl::StatusOr<std::unique_ptr<OutsideTarget>> OutsideTarget::Make(const Place& place, UniqueFd fd, Way way) {
  if (NobodyReads(fd.get(), way == Way::kSocket)) return absl::FailedPreconditionError("nobody reads there");
  const bool terminal = place.device != 0;
  if (terminal && isatty(fd.get()) == 0) return absl::FailedPreconditionError("a device that is no terminal");
  return std::unique_ptr<OutsideTarget>(new OutsideTarget(place, std::move(fd), way, terminal));
}

ssize_t OutsideTarget::WriteSome(std::string_view bytes) {
  if (way_ == Way::kSocket) return send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (way_ == Way::kInParts) {
    pollfd state = {fd_.get(), POLLOUT, 0};
    if (poll(&state, 1, 0) != 1) {
      errno = EAGAIN;
      return -1;
    }
    bytes = bytes.substr(0, terminal_ ? kTerminalPart : PIPE_BUF);
  }
  return write(fd_.get(), bytes.data(), bytes.size());
}

size_t OutsideTarget::Hand(std::string_view bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = WriteSome(bytes.substr(done));
    if (wrote >= 0) {
      done += static_cast<size_t>(wrote);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {  // EPIPE; EIO of a terminal that was hung up.
      dead_ = true;
      break;
    }
  }
  return done;
}

size_t OutsideTarget::Room() const {
  if (pending() > 0) return 0;
  int filled = 0;
  const int size = terminal_ ? -1 : fcntl(fd_.get(), F_GETPIPE_SZ);
  if (size < 0 || ioctl(fd_.get(), FIONREAD, &filled) != 0) return SIZE_MAX;
  return static_cast<size_t>(std::max(size - filled, 0));
}

void OutsideTarget::Write(std::string_view bytes) {
  if (pending() == 0 && !dead_) bytes.remove_prefix(Hand(bytes));
  if (dead_) {
    pending_ = std::string();
    sent_ = 0;
  } else {
    pending_.append(bytes);
  }
}

void OutsideTarget::Flush() {
  if (dead_) return;
  if (pending() == 0) {
    // It was only full. Whoever read it may have gone and left it so: it will never be otherwise then.
    dead_ = NobodyReads(fd_.get(), way_ == Way::kSocket);
    return;
  }
  sent_ += Hand(std::string_view(pending_).substr(sent_));
  if (dead_ || sent_ == pending_.size()) {
    pending_ = std::string();
    sent_ = 0;
  } else if (sent_ >= pending_.size() / 2) {  // Half of it is moved once, so each byte is moved once.
    pending_.erase(0, sent_);
    sent_ = 0;
  }
}

}  // namespace ocpwatch
