// The cost of one call, in nanoseconds, as a program sees it: the best of several rounds, since everything else on a
// machine only adds. `microbench WHAT`: open, stat, write, spawn. Prints one number.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kRounds = 7 };

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void Open(void) {
  int fd = open("/etc/passwd", O_RDONLY);
  if (fd < 0 || close(fd) != 0) exit(1);
}

static void Stat(void) {
  struct stat status;
  if (stat("/etc/passwd", &status) != 0) exit(1);
}

static int null_fd;

static void Write(void) {
  if (write(null_fd, "x", 1) != 1) exit(1);
}

static void Spawn(void) {
  int status;
  pid_t child = vfork();
  if (child == 0) {
    execl("/bin/true", "true", (char*)NULL);
    _exit(1);
  }
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) exit(1);
}

int main(int argc, char** argv) {
  const struct {
    const char* name;
    void (*call)(void);
    int calls;
  } kinds[] = {{"open", Open, 50000}, {"stat", Stat, 100000}, {"write", Write, 200000}, {"spawn", Spawn, 300}};
  null_fd = open("/dev/null", O_WRONLY);
  // strace makes a call cost a hundred times as much.
  int divisor = argc > 2 ? atoi(argv[2]) : 1;
  for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof *kinds; ++i) {
    if (strcmp(argv[1], kinds[i].name) != 0) continue;
    int calls = kinds[i].calls / divisor;
    double best = 1e18;
    for (int round = 0; round < kRounds; ++round) {
      double start = Now();
      for (int j = 0; j < calls; ++j) kinds[i].call();
      double each = (Now() - start) / calls;
      if (each < best) best = each;
    }
    printf("%.1f\n", best);
    return 0;
  }
  return 2;
}
