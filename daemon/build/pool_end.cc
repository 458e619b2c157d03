#include "daemon/build/pool_end.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ocpwatch {
namespace {

// What a pipe holds, if nobody has changed that.
constexpr size_t kReadBytes = size_t{64} << 10;

Place PlaceOrNone(absl::StatusOr<Place> place) { return place.ok() ? *place : Place(); }

}  // namespace

PoolEnd::PoolEnd(Pool::Pipe pipe, int32_t client_pid)
    : terminal_(false),
      number_(pipe.number),
      path_(absl::StrCat("/proc/", client_pid, "/fd/", pipe.number)),
      place_(PlaceOrNone(Place::Of(pipe.read.get()))),
      fd_(std::move(pipe.read)) {}

PoolEnd::PoolEnd(Pool::Terminal terminal)
    : terminal_(true),
      number_(terminal.number),
      path_(std::move(terminal.slave)),
      place_(PlaceOrNone(Place::Of(path_))),
      fd_(std::move(terminal.master)),
      edges_(epoll_create1(EPOLL_CLOEXEC)) {
  // A master whose slave was never open reports no hang-up: from here on it does.
  const UniqueFd slave(ioctl(fd_.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLET;
  epoll_ctl(edges_.get(), EPOLL_CTL_ADD, fd_.get(), &event);
}

absl::Status PoolEnd::Begin(int original) {
  taken_ = false;
  closed_edge_ = false;
  if (!terminal_) {
    reader_ = UniqueFd(open(absl::StrCat("/proc/self/fd/", fd_.get()).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    return reader_.valid() ? absl::OkStatus() : absl::ErrnoToStatus(errno, "cannot open a pipe of the pool");
  }
  HearEdges();
  closed_edge_ = false;
  // A master's ioctls set its slave. The original's driver does the output processing, so it is not done twice.
  termios modes = {};
  if (tcgetattr(original, &modes) == 0) {
    modes.c_oflag &= ~static_cast<tcflag_t>(OPOST);
    tcsetattr(fd_.get(), TCSANOW, &modes);
  }
  winsize size = {};
  if (ioctl(original, TIOCGWINSZ, &size) == 0) ioctl(fd_.get(), TIOCSWINSZ, &size);
  return absl::OkStatus();
}

bool PoolEnd::HearEdges() {
  epoll_event event = {};
  if (epoll_wait(edges_.get(), &event, 1, 0) == 1 && (event.events & EPOLLHUP) != 0) closed_edge_ = true;
  return closed_edge_;
}

PoolEnd::State PoolEnd::Read(size_t bound, std::string* out) {
  if (poll_fd() < 0) return State::kEnded;
  const int fd = terminal_ ? fd_.get() : reader_.get();
  // Before the reads: what it reports stands to be read then.
  if (terminal_) HearEdges();
  std::array<char, kReadBytes> buffer;  // Not initialised.
  const size_t begin = out->size();
  while (out->size() - begin < bound) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got > 0) {
      out->append(buffer.data(), static_cast<size_t>(got));
      taken_ = true;
    } else if (got == 0) {
      pollfd state = {fd, 0, 0};
      if (poll(&state, 1, 0) != 1 || (state.revents & POLLHUP) == 0) return State::kEmpty;
      taken_ = true;
      return State::kEnded;
    } else if (errno == EAGAIN) {
      taken_ = true;  // Without a writer it would have been the end.
      return State::kEmpty;
    } else if (errno != EINTR) {  // EIO: no slave is open.
      if (!HearEdges()) return State::kEmpty;
      taken_ = true;
      return State::kEnded;
    }
  }
  return State::kMore;
}

void PoolEnd::End() { reader_.reset(); }

void PoolEnd::Close() {
  reader_.reset();
  edges_.reset();
  fd_.reset();
}

bool PoolEnd::Renew(const UniqueFd& client) {
  if (terminal_ || fd_.valid()) return false;
  absl::StatusOr<UniqueFd> fd = TakePipe(client, number_);
  if (!fd.ok()) return false;
  const absl::StatusOr<Place> place = Place::Of(fd->get());
  if (!place.ok() || *place == place_) return false;
  place_ = *place;
  fd_ = *std::move(fd);
  return true;
}

}  // namespace ocpwatch
