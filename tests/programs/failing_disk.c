// Preloaded into watchd: calls that write below $FAILING_DISK fail from the $FAILING_FROM-th on (once, if $FAILING_ONCE
// is set) with $FAILING_WITH, an errno; of 0, watchd is killed there and then. The first failure leaves
// $FAILING_DISK.failed behind.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

static int fails(int fd) {
  const char* disk = getenv("FAILING_DISK");
  if (disk == NULL) return 0;
  char link[64], path[PATH_MAX + 1];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, PATH_MAX);
  if (size <= 0 || strncmp(path, disk, strlen(disk)) != 0) return 0;
  const long from = atol(getenv("FAILING_FROM"));
  const long call = atomic_fetch_add(&calls, 1) + 1;
  if (call < from || (call > from && getenv("FAILING_ONCE") != NULL)) return 0;
  snprintf(path, sizeof path, "%s.failed", disk);
  close(open(path, O_CREAT | O_WRONLY, 0600));
  errno = atoi(getenv("FAILING_WITH"));
  if (errno == 0) raise(SIGKILL);
  return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAILING(type, name, parameters, arguments) \
  type name parameters { return fails(fd) ? -1 : REAL(name) arguments; }

FAILING(ssize_t, write, (int fd, const void* data, size_t size), (fd, data, size))
FAILING(ssize_t, pwrite, (int fd, const void* data, size_t size, off_t offset), (fd, data, size, offset))
FAILING(ssize_t, pwrite64, (int fd, const void* data, size_t size, off64_t offset), (fd, data, size, offset))
FAILING(int, fsync, (int fd), (fd))
FAILING(int, fdatasync, (int fd), (fd))
FAILING(int, ftruncate, (int fd, off_t size), (fd, size))
FAILING(int, ftruncate64, (int fd, off64_t size), (fd, size))

ssize_t copy_file_range(int in, off64_t* from, int fd, off64_t* to, size_t size, unsigned flags) {
  return fails(fd) ? -1 : REAL(copy_file_range)(in, from, fd, to, size, flags);
}
