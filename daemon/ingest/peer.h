// Who is at the other end of a Unix socket. Asked before a byte is read: another user's processes get no say here.
#ifndef OCPWATCH_DAEMON_INGEST_PEER_H_
#define OCPWATCH_DAEMON_INGEST_PEER_H_

#include <sys/types.h>

#include "absl/status/status.h"

namespace ocpwatch {

// OK if the process that connected runs as `uid`; PERMISSION_DENIED names who it was; INTERNAL if the kernel does not
// tell.
absl::Status CheckPeer(int fd, uid_t uid);

// The same with our own effective user.
absl::Status CheckPeer(int fd);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_INGEST_PEER_H_
