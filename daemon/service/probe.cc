#include "daemon/service/probe.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

bool AnswersOnSocket(const std::string& path, std::chrono::milliseconds timeout) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // On a Unix socket connect succeeds at once or, where the backlog is full, fails.
  if (!fd.valid() || connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return false;
  shutdown(fd.get(), SHUT_WR);
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd poll_fd = {fd.get(), POLLIN, 0};
    if (left.count() <= 0 || poll(&poll_fd, 1, static_cast<int>(left.count())) == 0) return false;
    char ignored[256];
    const ssize_t size = recv(fd.get(), ignored, sizeof ignored, 0);
    if (size == 0 || (size < 0 && errno == ECONNRESET)) return true;
    if (size < 0 && errno != EAGAIN && errno != EINTR) return false;
  }
}

}  // namespace ocpwatch
