// Prints everything of its surroundings that an observer might change: environment, descriptors, masks, limits, and
// what failing calls leave in errno.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

extern char** environ;

static void Surroundings(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) printf("argument %s\n", argv[i]);
  for (char** variable = environ; *variable != NULL; ++variable) printf("environment %s\n", *variable);
  printf("getenv %s %s\n", getenv("LD_PRELOAD") ? "set" : "not set", getenv("OCP_WATCH") ? "set" : "not set");
  DIR* directory = opendir("/proc/self/fd");
  CHECK(directory != NULL);
  for (struct dirent* entry; (entry = readdir(directory)) != NULL;) {
    int fd = atoi(entry->d_name);
    char target[4096];
    ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
    if (length < 0 || fd == dirfd(directory)) continue;
    // Pipes and sockets have a number of their own in each run.
    char* number = memchr(target, '[', (size_t)length);
    target[number != NULL ? number - target : length] = '\0';
    printf("descriptor %d %s flags %x %x\n", fd, target, fcntl(fd, F_GETFD), fcntl(fd, F_GETFL));
  }
  printf("lowest descriptor %d\n", dup(0));
  closedir(directory);
  mode_t mask = umask(0);
  umask(mask);
  printf("umask %o\ncwd %s\n", mask, getcwd(NULL, 0));
  for (int fd = 0; fd < 3; ++fd) {
    struct winsize size = {0};
    printf("isatty %d %d window %d\n", fd, isatty(fd),
           ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_row * 1000 + size.ws_col : -1);
  }
  printf("process group %s, session %s\n", getpgrp() == getpid() ? "own" : "inherited",
         getsid(0) == getpid() ? "own" : "inherited");
  for (int resource = 0; resource < RLIM_NLIMITS; ++resource) {
    struct rlimit limit;
    if (getrlimit(resource, &limit) == 0) printf("limit %d %lx %lx\n", resource, limit.rlim_cur, limit.rlim_max);
  }
  sigset_t blocked;
  sigprocmask(SIG_BLOCK, NULL, &blocked);
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) != 0) continue;
    if (sigismember(&blocked, number) == 1 || action.sa_handler != SIG_DFL) {
      printf("signal %d blocked %d handler %s\n", number, sigismember(&blocked, number),
             action.sa_handler == SIG_IGN ? "ignored" : "set");
    }
  }
  int status;
  printf("children %d\n", waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD ? 0 : 1);
}

#define SHOW(call)                                        \
  do {                                                    \
    errno = ERANGE;                                       \
    long result = (long)(call);                           \
    printf("%s = %ld, errno %d\n", #call, result, errno); \
  } while (0)

static void Errors(void) {
  // Not known to the compiler, which would warn of a null path.
  char* volatile null = NULL;
  char* volatile bad = (char*)8;
  char** volatile no_vector = NULL;
  char long_path[5000];
  struct stat st;
  char small[4];
  memset(long_path, 'x', sizeof long_path);
  long_path[sizeof long_path - 1] = '\0';
  SHOW(open("/no/such", O_RDONLY));
  SHOW(open("/etc", O_WRONLY));
  SHOW(open(bad, O_RDONLY));
  SHOW(open("", O_RDONLY));
  SHOW(open(long_path, O_RDONLY));
  SHOW(open("/etc/passwd", O_RDONLY | O_DIRECTORY));
  SHOW(fopen("/no/such", "r"));
  SHOW(fopen("/etc/passwd", "q"));
  SHOW(stat(bad, &st));
  SHOW(stat("/etc/passwd", (struct stat*)bad));
  SHOW(stat("/no/such", &st));
  SHOW(access(bad, R_OK));
  SHOW(access("/etc/passwd", R_OK));
  SHOW(readlink("/etc/passwd", small, sizeof small));
  SHOW(readlink(bad, small, sizeof small));
  SHOW(readlink("/proc/self/exe", small, sizeof small));
  SHOW(execve(bad, no_vector, no_vector));
  SHOW(execve("/no/such", no_vector, no_vector));
  SHOW(execve("/etc/passwd", (char**)bad, environ));
  SHOW(execv("/etc", (char*[]){null, NULL}));
  SHOW(chdir("/etc/passwd"));
  SHOW(chdir(bad));
  SHOW(mkdir("/proc/x", 0755));
  SHOW(rmdir("/proc"));
  SHOW(unlink("/etc"));
  SHOW(unlink(bad));
  SHOW(rename("/no/a", bad));
  SHOW(rename("/no/a", "/no/b"));
  SHOW(link("/etc", "/proc/x"));
  SHOW(symlink(bad, bad));
  SHOW(truncate("/etc", 0));
  SHOW(close(999));
  SHOW(close(-1));
  SHOW(dup(999));
  SHOW(dup2(999, 3));
  SHOW(fcntl(999, F_GETFD));
  SHOW(fchdir(999));
  SHOW(fchmod(999, 0644));
  SHOW(openat(999, "x", O_RDONLY));
  SHOW(pipe((int*)bad));
  SHOW(opendir("/etc/passwd"));
  SHOW(opendir("/no/such"));
  SHOW(realpath("/no/such", NULL));
  SHOW(waitpid(-1, NULL, 0));
  SHOW(kill(0x7fffffff, 0));
  SHOW(dlopen("/no/such.so", RTLD_NOW));
  SHOW(getcwd(small, sizeof small));
  // A call that goes well leaves errno alone.
  SHOW(close(open("/etc/passwd", O_RDONLY)));
  SHOW(closedir(opendir("/etc")));
  SHOW(stat("/etc", &st));
}

int main(int argc, char** argv) {
  setvbuf(stdout, NULL, _IOFBF, 1 << 20);
  Surroundings(argc, argv);
  Errors();
  fflush(stdout);
  return 0;
}
