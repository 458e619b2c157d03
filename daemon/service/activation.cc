#include "daemon/service/activation.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ocpwatch {
namespace {

// Empty where the socket has no path.
std::string PathOf(int fd) {
  sockaddr_un address = {};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 || address.sun_family != AF_UNIX) return "";
  return std::string(address.sun_path, strnlen(address.sun_path, sizeof address.sun_path));
}

}  // namespace

absl::StatusOr<ActivatedSockets> TakeActivatedSockets() {
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(/*unset_environment=*/1, &names);
  ActivatedSockets sockets;
  sockets.activated = count > 0;
  absl::Status status;
  for (int i = 0; i < count; i++) {
    UniqueFd fd(SD_LISTEN_FDS_START + i);
    const std::string path = PathOf(fd.get());
    const size_t slash = path.rfind('/');
    const std::string base = slash == std::string::npos ? path : path.substr(slash + 1);
    const std::string_view name = names[i];
    UniqueFd* place = nullptr;
    if (name == "control" || base == "control.sock") {
      place = &sockets.control;
    } else if (name == "intercept" || base == "intercept.sock") {
      place = &sockets.intercept;
    }
    if (place == nullptr || place->valid() || sd_is_socket(fd.get(), AF_UNIX, SOCK_STREAM, /*listening=*/1) <= 0 ||
        path.empty()) {
      status = absl::InvalidArgumentError(
          absl::StrCat("systemd hands over a socket that is neither control.sock nor intercept.sock: '", path,
                       "', name '", names[i], "'; compare the unit file with the one that came with ocp-watch"));
      continue;
    }
    fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
    if (place == &sockets.intercept) sockets.intercept_path = path;
    *place = std::move(fd);
  }
  for (int i = 0; i < count; i++) free(names[i]);
  free(names);
  if (!status.ok()) return status;
  if (sockets.activated && (!sockets.control.valid() || !sockets.intercept.valid())) {
    return absl::InvalidArgumentError(absl::StrCat("systemd hands over no ",
                                                   !sockets.control.valid() ? "control.sock" : "intercept.sock",
                                                   "; the unit needs both ListenStream= lines"));
  }
  return sockets;
}

}  // namespace ocpwatch
