// daemon() and forkpty(): libc's own fork inside of them would not pass through us. Made again after glibc's
// (misc/daemon.c, login/forkpty.c) out of functions that do.
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "preload/runtime/export.h"
#include "preload/runtime/fork.h"
#include "real_calls.h"

using namespace ocpwatch;

OCPWATCH_EXPORT(int, daemon, (int nochdir, int noclose)) {
  BehaviourFor(FunctionId::kDaemon);
  const pid_t pid = Fork(FunctionId::kDaemon, real.fork);
  if (pid == -1) return -1;
  if (pid != 0) _exit(0);
  if (setsid() == -1) return -1;
  if (nochdir == 0 && chdir("/") != 0) errno = 0;  // glibc does not mind either.
  if (noclose != 0) return 0;
  const int null = open("/dev/null", O_RDWR);
  struct stat status;
  if (null == -1 || fstat(null, &status) != 0) {
    if (null != -1) close(null);
    return -1;
  }
  if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3)) {
    close(null);
    errno = ENODEV;
    return -1;
  }
  for (int fd = 0; fd < 3; ++fd) dup2(null, fd);
  if (null > 2) close(null);
  return 0;
}

OCPWATCH_EXPORT(int, forkpty, (int* terminal, char* name, const struct termios* settings, const struct winsize* size)) {
  BehaviourFor(FunctionId::kForkpty);
  int master = -1, slave = -1;
  if (openpty(&master, &slave, name, settings, size) == -1) return -1;
  const pid_t pid = Fork(FunctionId::kForkpty, real.fork);
  if (pid == -1) {
    const int error = errno;
    close(master);
    close(slave);
    errno = error;
    return -1;
  }
  if (pid != 0) {
    *terminal = master;
    close(slave);
    return pid;
  }
  close(master);
  setsid();
  if (ioctl(slave, TIOCSCTTY, nullptr) == -1) _exit(1);
  for (int fd = 0; fd < 3; ++fd) {
    while (dup2(slave, fd) == -1 && errno == EBUSY) {
    }
  }
  if (slave > 2) close(slave);
  return 0;
}
