#include "daemon/ingest/intercept_server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/ingest/futex.h"
#include "daemon/ingest/peer.h"

namespace ocpwatch {
namespace {

// In one go, before the connections that are there get their turn again.
constexpr int kAcceptBatch = 64;
constexpr size_t kEventBatch = 64;
constexpr size_t kMinConnections = 16;
// Who holds no more than this is not cut off when all together hold too much: most frames are shorter.
constexpr size_t kModestBytes = size_t{16} * 1024;
// Without a single descriptor left we cannot even refuse anybody: look again after so long.
constexpr int64_t kDeafNs = 100'000'000;
constexpr int64_t kMaxSweepIntervalNs = 1'000'000'000;

InterceptOptions WithinLimits(InterceptOptions options) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    options.max_connections = std::min<size_t>(options.max_connections, limit.rlim_cur / 2);
  }
  options.max_connections = std::max(options.max_connections, kMinConnections);
  return options;
}

bool Watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.fd = fd;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

UniqueFd OpenSpare() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

absl::StatusOr<std::unique_ptr<InterceptServer>> InterceptServer::Start(UniqueFd listener, SessionDirectory& directory,
                                                                        InterceptOptions options) {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const int flags = fcntl(listener.get(), F_GETFL);
  if (!epoll.valid() || !wake.valid() || flags < 0 || fcntl(listener.get(), F_SETFL, flags | O_NONBLOCK) != 0 ||
      !Watch(epoll.get(), listener.get()) || !Watch(epoll.get(), wake.get())) {
    const std::string message = absl::StrCat("cannot serve intercept.sock: ", strerror(errno));
    return errno == EMFILE || errno == ENFILE ? absl::ResourceExhaustedError(message) : absl::InternalError(message);
  }
  return std::unique_ptr<InterceptServer>(
      new InterceptServer(std::move(listener), std::move(epoll), std::move(wake), directory, WithinLimits(options)));
}

InterceptServer::InterceptServer(UniqueFd listener, UniqueFd epoll, UniqueFd wake, SessionDirectory& directory,
                                 InterceptOptions options)
    : listener_(std::move(listener)),
      epoll_(std::move(epoll)),
      wake_(std::move(wake)),
      spare_(OpenSpare()),
      directory_(directory),
      options_(options),
      sweep_interval_ns_(
          std::min({options.greeting_timeout_ns / 4, options.frame_timeout_ns / 4, kMaxSweepIntervalNs})),
      thread_([this] { Run(); }) {}

InterceptServer::~InterceptServer() {
  eventfd_write(wake_.get(), 1);
  thread_.join();
}

void InterceptServer::Run() {
  std::array<epoll_event, kEventBatch> events{};
  for (;;) {
    const int count = epoll_wait(epoll_.get(), events.data(), events.size(), TimeoutMs(MonotonicNs()));
    const int64_t now_ns = MonotonicNs();
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == wake_.get()) return;
      if (fd == listener_.get()) {
        Accept();
      } else {
        Serve(fd, now_ns);
      }
    }
    if (listen_again_ns_ != 0 && now_ns >= listen_again_ns_) Listen(true);
    if (now_ns >= next_sweep_ns_) Sweep(now_ns);
  }
}

int InterceptServer::TimeoutMs(int64_t now_ns) const {
  int64_t until = INT64_MAX;
  if (listen_again_ns_ != 0) until = listen_again_ns_;
  if (!connections_.empty()) until = std::min(until, next_sweep_ns_);
  if (until == INT64_MAX) return -1;
  return static_cast<int>(std::max<int64_t>(0, until - now_ns) / 1'000'000 + 1);
}

void InterceptServer::Accept() {
  for (int i = 0; i < kAcceptBatch; ++i) {
    UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.valid()) {
      // Before a byte is read. Nothing is said to a stranger.
      if (CheckPeer(socket.get()).ok()) Admit(std::move(socket), MonotonicNs());
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      return Shed();
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;
    }
  }
}

// The kernel reports a listener with somebody in its queue again and again: take him off it.
void InterceptServer::Shed() {
  spare_.reset();
  const bool shed = UniqueFd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)).valid();
  spare_ = OpenSpare();
  if (!shed) Listen(false);
}

void InterceptServer::Listen(bool on) {
  epoll_event event{};
  if (on) event.events = EPOLLIN;
  event.data.fd = listener_.get();
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), &event);
  listen_again_ns_ = on ? 0 : MonotonicNs() + kDeafNs;
  if (on && !spare_.valid()) spare_ = OpenSpare();
}

void InterceptServer::Admit(UniqueFd socket, int64_t now_ns) {
  if (connections_.size() >= options_.max_connections && !MakeRoom()) return;
  const int fd = socket.get();
  if (!Watch(epoll_.get(), fd)) return;
  if (connections_.empty()) next_sweep_ns_ = now_ns + sweep_interval_ns_;
  connections_.emplace_back(std::move(socket), directory_, decoder_, now_ns);
  by_fd_[fd] = std::prev(connections_.end());
  open_.store(connections_.size(), std::memory_order_relaxed);
}

bool InterceptServer::MakeRoom() {
  const auto oldest = std::find_if(connections_.begin(), connections_.end(),
                                   [](const InterceptConnection& connection) { return !connection.greeted(); });
  if (oldest == connections_.end()) return false;
  Close(oldest);
  return true;
}

void InterceptServer::Serve(int fd, int64_t now_ns) {
  const auto found = by_fd_.find(fd);
  if (found == by_fd_.end()) return;  // Closed earlier in the same batch.
  const List::iterator connection = found->second;
  const size_t held_before = connection->held();
  const bool open = connection->Read(now_ns);
  held_bytes_ += connection->held() - held_before;
  if (!open) return Close(connection);
  if (held_bytes_ > options_.max_held_bytes && connection->held() > kModestBytes) {
    connection->CutOff("too many unfinished frames wait on the socket");
    Close(connection);
  }
}

void InterceptServer::Sweep(int64_t now_ns) {
  next_sweep_ns_ = now_ns + sweep_interval_ns_;
  for (auto it = connections_.begin(); it != connections_.end();) {
    const auto connection = it++;
    const int64_t since = connection->waiting_since_ns();
    const int64_t bound = connection->greeted() ? options_.frame_timeout_ns : options_.greeting_timeout_ns;
    if (since == 0 || now_ns - since < bound) continue;
    connection->CutOff("a frame was begun on the socket and not finished");
    Close(connection);
  }
}

void InterceptServer::Close(List::iterator connection) {
  held_bytes_ -= connection->held();
  by_fd_.erase(connection->fd());
  connections_.erase(connection);
  open_.store(connections_.size(), std::memory_order_relaxed);
}

}  // namespace ocpwatch
