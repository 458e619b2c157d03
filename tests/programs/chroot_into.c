// Changes the root to argv[1] and executes argv[2], a path in there, with what follows as its arguments.
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "check.h"

int main(int argc, char** argv) {
  CHECK(argc >= 3 && chroot(argv[1]) == 0 && chdir("/") == 0);
  int fd = open("/seen", O_RDONLY);
  CHECK(fd >= 0 && close(fd) == 0);
  execv(argv[2], argv + 2);
  return 1;
}
