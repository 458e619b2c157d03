#include "cli/forwarder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "ocpwatch/v1/keeper.h"

namespace ocpwatch {
namespace {

constexpr size_t kReadBytes = size_t{64} << 10;
// A command that the daemon had just given a pipe has opened it by then. Until then a pipe without writers may get one.
constexpr std::chrono::milliseconds kOpenGrace{200};
// How soon it is noticed that the command has ended. Nothing waits for it while there is something to forward.
constexpr int kTickMs = 20;

}  // namespace

int TakeRoute(int keeper, Source* source) {
  KeptRoute route;
  iovec part = {&route, sizeof route};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (recvmsg(keeper, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != sizeof route) return -1;
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return -1;
  int target = -1;
  memcpy(&target, CMSG_DATA(header), sizeof target);
  source->stream = route.stream;
  source->parent = route.parent;
  return target;
}

Forwarder::~Forwarder() {
  for (const Source& source : sources_) close(source.fd);
  if (target_ >= 0) close(target_);
}

Forwarder::Forwarder(Forwarder&& other) noexcept
    : target_(std::exchange(other.target_, -1)), sources_(std::move(other.sources_)) {
  other.sources_.clear();
}

bool Forwarder::LeadsTo(int fd) const {
  struct stat mine = {};
  struct stat other = {};
  return fstat(target_, &mine) == 0 && fstat(fd, &other) == 0 && mine.st_dev == other.st_dev &&
         mine.st_ino == other.st_ino;
}

void Forwarder::Add(const Source& source) {
  sources_.push_back(source);
  std::sort(sources_.begin(), sources_.end(),
            [](const Source& left, const Source& right) { return left.stream < right.stream; });
}

void Forwarder::Run(const std::atomic<bool>& settling) {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  // The daemon's description: nobody else has it now, and we have nothing to do while it takes nothing.
  fcntl(target_, F_SETFL, fcntl(target_, F_GETFL) & ~O_NONBLOCK);
  const auto begun = std::chrono::steady_clock::now();
  while (!sources_.empty()) {
    const bool last = settling;
    const bool may_end = last || std::chrono::steady_clock::now() - begun > kOpenGrace;
    std::vector<pollfd> polled;
    for (const Source& source : sources_) polled.push_back({source.fd, POLLIN, 0});
    if (!last) poll(polled.data(), polled.size(), kTickMs);
    // Backwards: those that end are removed, and children come behind their parents.
    for (size_t i = sources_.size(); i-- > 0;) {
      if (i < sources_.size() && !Drain(i, may_end)) return;
    }
    if (last) return;
    const bool nothing_new =
        std::all_of(polled.begin(), polled.end(), [](const pollfd& each) { return (each.revents & POLLIN) == 0; });
    if (nothing_new && !may_end) poll(nullptr, 0, 1);  // A hang-up that does not count yet.
  }
}

bool Forwarder::Read(Source* source, std::string* out, bool* ended) {
  std::array<char, kReadBytes> buffer;  // Not initialised.
  size_t total = 0;
  // What a pipe can hold at most; a writer that never stops is not read for ever.
  while (total < 16 * kReadBytes) {
    const ssize_t got = read(source->fd, buffer.data(), buffer.size());
    if (got > 0) {
      out->append(buffer.data(), static_cast<size_t>(got));
      total += static_cast<size_t>(got);
    } else if (got < 0 && errno == EINTR) {
      continue;
    } else {
      *ended = got == 0 || errno == EIO;
      break;
    }
  }
  return total > 0;
}

bool Forwarder::Drain(size_t index, bool may_end) {
  std::string bytes;
  bool ended = false;
  const uint32_t stream = sources_[index].stream;
  if (Read(&sources_[index], &bytes, &ended)) {
    for (size_t i = sources_.size(); i-- > index + 1;) {
      if (i < sources_.size() && sources_[i].parent == stream && !Drain(i, may_end)) return false;
    }
    if (!Hand(bytes)) return false;
  }
  if (!ended || !may_end) return true;
  const uint32_t parent = sources_[index].parent;
  close(sources_[index].fd);
  sources_.erase(sources_.begin() + static_cast<ptrdiff_t>(index));
  for (Source& each : sources_) {
    if (each.parent == stream) each.parent = parent;
  }
  return true;
}

bool Forwarder::Hand(const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = write(target_, bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;  // Our ends are closed with us, so the writers get their SIGPIPE.
    done += static_cast<size_t>(wrote);
  }
  return true;
}

}  // namespace ocpwatch
