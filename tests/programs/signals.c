// A signal handler opens files while the program opens files: "main" N times, "handler" whenever a timer strikes; at
// the end both counts are printed. argv[1]: N.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t handled;

static void Handle(int signal) {
  (void)signal;
  int saved = errno;
  int fd = open("handler", O_RDONLY);
  if (fd < 0) _exit(98);
  close(fd);
  ++handled;
  errno = saved;
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  struct sigaction action = {.sa_handler = Handle, .sa_flags = SA_RESTART};
  struct itimerval often = {{0, 200}, {0, 200}};
  struct itimerval never = {{0, 0}, {0, 0}};
  CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
  for (int i = atoi(argv[1]); i > 0; --i) {
    int fd = open("main", O_RDONLY);
    CHECK(fd >= 0 && close(fd) == 0);
    // An interrupted call must not disturb what the program sees.
    errno = EDOM;
    CHECK(access("main", F_OK) == 0 && errno == EDOM);
  }
  CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
  printf("%d\n", (int)handled);
  return 0;
}
