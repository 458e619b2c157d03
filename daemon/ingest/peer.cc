#include "daemon/ingest/peer.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace ocpwatch {

absl::Status CheckPeer(int fd, uid_t uid) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return absl::InternalError(absl::StrCat("SO_PEERCRED: ", strerror(errno)));
  }
  if (size != sizeof peer || peer.uid != uid) {
    return absl::PermissionDeniedError(
        absl::StrCat("process ", peer.pid, " of user ", peer.uid, " may not talk to the daemon of user ", uid));
  }
  return absl::OkStatus();
}

absl::Status CheckPeer(int fd) { return CheckPeer(fd, geteuid()); }

}  // namespace ocpwatch
