// System calls past libc's functions: "syscall" opens "raw" by syscall(), "asm" opens "hidden" without libc, which
// nobody can see; "io_uring" sets up a ring. Prints whether it went well.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

int main(int argc, char** argv) {
  CHECK(argc == 2);
  if (strcmp(argv[1], "syscall") == 0) {
    long fd = syscall(SYS_openat, AT_FDCWD, "raw", O_RDONLY);
    CHECK(fd >= 0 && syscall(SYS_close, fd) == 0);
    CHECK(syscall(SYS_mkdir, "raw_directory", 0755) == 0 && syscall(SYS_unlink, "raw_unlinked") == 0);
    puts("done");
  }
  if (strcmp(argv[1], "unknown") == 0) {
    // open_by_handle_at: a file by a way that no path tells.
    syscall(SYS_open_by_handle_at, -1, NULL, O_RDONLY);
    puts("done");
  }
  if (strcmp(argv[1], "io_uring") == 0) {
    struct io_uring_params params = {0};
    long ring = syscall(SYS_io_uring_setup, 4, &params);
    puts(ring >= 0 ? "a ring" : "no ring");
  }
  return 0;
}
