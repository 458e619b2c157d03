// Closes, or puts something else on, every descriptor it can find, as daemons and shells do; then reads "after".
// argv[1]: the way.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"

int main(int argc, char** argv) {
  CHECK(argc == 2);
  const char* way = argv[1];
  if (strcmp(way, "close_range") == 0) CHECK(close_range(3, ~0U, 0) == 0);
  if (strcmp(way, "cloexec") == 0) CHECK(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0);
  if (strcmp(way, "closefrom") == 0) closefrom(3);
  if (strcmp(way, "close") == 0) {
    for (int fd = 3; fd < 1024; ++fd) close(fd);
  }
  if (strcmp(way, "dup2") == 0) {
    int null = open("/dev/null", O_RDWR);
    for (int fd = 3; fd < 200; ++fd) CHECK(fd == null || dup2(null, fd) == fd);
  }
  if (strcmp(way, "rlimit") == 0) {
    struct rlimit few = {16, 16};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    int last = 0;
    for (int fd; (fd = dup(0)) >= 0;) last = fd;
    CHECK(errno == EMFILE);
    printf("%d\n", last);
    // What a shell needs to read a file.
    for (int i = 0; i < 4; ++i) CHECK(close(last - i) == 0);
  }
  int fd = open("after", O_RDONLY);
  CHECK(fd >= 0 && close(fd) == 0);
  fflush(stdout);
  char* args[] = {"sh", "-c", "echo child; read line < in_child; ls -l /proc/self/fd | wc -l", NULL};
  execvp("sh", args);
  return 1;
}
