#include "daemon/build/pool_end.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ocpwatch {
namespace {

// What a pipe holds, if nobody has changed that.
constexpr size_t kReadBytes = size_t{64} << 10;

Place PlaceOrNone(absl::StatusOr<Place> place) { return place.ok() ? *place : Place(); }

// A keeper that does not take it costs nothing but the rescue after our death.
void Keep(int keeper, int target, KeptRoute route) {
  iovec part = {&route, sizeof route};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof target)> control = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof target);
  memcpy(CMSG_DATA(header), &target, sizeof target);
  if (sendmsg(keeper, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return;
}

// Without room for the descriptor that comes with it, the kernel closes that.
void Forget(int keeper) {
  KeptRoute route;
  if (recv(keeper, &route, sizeof route, MSG_DONTWAIT) < 0) return;
}

}  // namespace

PoolEnd::PoolEnd(Pool::Pipe pipe, int32_t client_pid)
    : terminal_(false),
      number_(pipe.number),
      path_(absl::StrCat("/proc/", client_pid, "/fd/", pipe.number)),
      place_(PlaceOrNone(Place::Of(pipe.read.get()))),
      fd_(std::move(pipe.read)),
      edges_(epoll_create1(EPOLL_CLOEXEC)),
      keeper_(std::move(pipe.keeper)) {
  ListenTo(EPOLL_CTL_ADD);
}

PoolEnd::PoolEnd(Pool::Terminal terminal)
    : terminal_(true),
      number_(terminal.number),
      path_(std::move(terminal.slave)),
      place_(PlaceOrNone(Place::Of(path_))),
      fd_(std::move(terminal.master)),
      edges_(epoll_create1(EPOLL_CLOEXEC)),
      keeper_(std::move(terminal.keeper)) {
  // A master whose slave was never open reports no hang-up: from here on it does.
  UniqueFd slave(ioctl(fd_.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  slave.reset();
  ListenTo(EPOLL_CTL_ADD);
}

void PoolEnd::ListenTo(int operation) {
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLET;
  epoll_ctl(edges_.get(), operation, fd_.get(), &event);
}

void PoolEnd::Begin(int original, int target, const KeptRoute& route) {
  Keep(keeper_.get(), target, route);
  HearEdges();
  taken_ = false;
  hung_up_ = false;
  if (!terminal_) return;
  // A master's ioctls set its slave. The original's driver does the output processing, so it is not done twice.
  termios modes = {};
  if (tcgetattr(original, &modes) == 0) {
    modes.c_oflag &= ~static_cast<tcflag_t>(OPOST);
    tcsetattr(fd_.get(), TCSANOW, &modes);
  }
  winsize size = {};
  if (ioctl(original, TIOCGWINSZ, &size) == 0) ioctl(fd_.get(), TIOCSWINSZ, &size);
}

bool PoolEnd::HearEdges() {
  epoll_event event = {};
  if (epoll_wait(edges_.get(), &event, 1, 0) == 1 && (event.events & EPOLLHUP) != 0) hung_up_ = true;
  return hung_up_;
}

PoolEnd::State PoolEnd::Read(size_t bound, std::string* out) {
  HearEdges();                          // Before the reads: what it reports stands to be read then.
  std::array<char, kReadBytes> buffer;  // Not initialised.
  const size_t begin = out->size();
  while (out->size() - begin < bound) {
    const ssize_t got = read(fd_.get(), buffer.data(), std::min(buffer.size(), bound - (out->size() - begin)));
    if (got > 0) {
      out->append(buffer.data(), static_cast<size_t>(got));
      taken_ = true;
    } else if (got < 0 && errno == EAGAIN) {
      taken_ = true;  // Without a writer it would have been the end.
      return State::kEmpty;
    } else if (got == 0 || errno != EINTR) {  // A pipe without writers; EIO of a terminal whose slave is not open.
      if (!HearEdges()) return State::kEmpty;
      taken_ = true;
      return State::kEnded;
    }
  }
  ListenTo(EPOLL_CTL_MOD);  // To be told of what is left.
  return State::kMore;
}

void PoolEnd::End() { Forget(keeper_.get()); }

void PoolEnd::Close() {
  End();
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
  edges_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  ListenTo(EPOLL_CTL_ADD);
  return true;
}

}  // namespace ocpwatch
