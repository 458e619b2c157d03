#include "preload/runtime/session.h"

#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"

namespace ocpwatch {

constinit Session session = {};
constinit thread_local uint32_t vfork_process = 0;

bool DaemonLives() {
  // Where its number means nothing, only the stall bound tells.
  if (!session.daemon_visible) return true;
  if (ProcessIsGone(session.daemon_pid)) return false;
  char path[40];
  char* end = Append(path, "/proc/", 6);
  end = AppendDecimal(end, static_cast<uint64_t>(session.daemon_pid));
  Append(end, "/stat", 6);
  const int fd = RawOpen(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;
  char line[64];
  const long size = RawRead(fd, line, sizeof line);
  RawClose(fd);
  for (long i = 0; i + 2 < size; ++i) {
    if (line[i] == ')' && line[i + 1] == ' ') return line[i + 2] != 'Z' && line[i + 2] != 'X';
  }
  return true;
}

}  // namespace ocpwatch
