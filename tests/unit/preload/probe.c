/* What the tests of the preload library have done in a traced process. preload_probe ACTION ARGS... */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <ftw.h>
#include <glob.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <wordexp.h>

extern char** environ;

static void wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) == -1 && errno == EINTR) {
  }
  printf("%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* opens N: opens /etc/hostname and closes it again, N times. */
static int opens(char** args) {
  for (int i = atoi(args[0]); i > 0; i--) {
    int fd = open("/etc/hostname", O_RDONLY);
    if (fd >= 0) close(fd);
  }
  return 0;
}

/* stats N */
static int stats(char** args) {
  struct stat status;
  char path[64];
  for (int i = 0; i < atoi(args[0]); i++) {
    snprintf(path, sizeof path, "/nonexistent/%d", i);
    stat(path, &status);
  }
  return 0;
}

/* die N: N stats of nothing, then SIGKILL. */
static int die(char** args) {
  stats(args);
  kill(getpid(), SIGKILL);
  return 0;
}

/* empty-environment PROGRAM: executes it with an environment that has nothing in it, and with none. */
static int empty_environment(char** args) {
  char* none[] = {NULL};
  pid_t pid = fork();
  if (pid == 0) execve(args[0], args, none);
  wait_for(pid);
  pid = fork();
  if (pid == 0) execve(args[0], args, NULL);
  wait_for(pid);
  return 0;
}

/* children PROGRAM: one by each way there is. */
static int children(char** args) {
  pid_t pid = fork();
  if (pid == 0) _exit(3);
  wait_for(pid);
  pid = vfork();
  if (pid == 0) {
    execv(args[0], args);
    _exit(127);
  }
  wait_for(pid);
  pid = vfork();
  if (pid == 0) _exit(5);
  wait_for(pid);
  if (posix_spawn(&pid, args[0], NULL, NULL, args, environ) == 0) wait_for(pid);
  char* name[] = {"true", NULL};
  if (posix_spawnp(&pid, "true", NULL, NULL, name, environ) == 0) wait_for(pid);
  printf("%d\n", posix_spawnp(&pid, "no-such-program", NULL, NULL, name, environ));
  printf("%d\n", system("exit 7"));
  FILE* stream = popen("exit 9", "r");
  printf("%d\n", pclose(stream));
  return 0;
}

/* Starts args in a child and waits: prints the status. */
static void start_by(const char* how, char** args) {
  pid_t pid = 0;
  if (strcmp(how, "fork") == 0) {
    pid = fork();
    if (pid == 0) {
      execv(args[0], args);
      _exit(127);
    }
  } else if (strcmp(how, "vfork") == 0) {
    pid = vfork();
    if (pid == 0) {
      execv(args[0], args);
      _exit(127);
    }
  } else if (strcmp(how, "spawn") == 0) {
    if (posix_spawn(&pid, args[0], NULL, NULL, args, environ) != 0) pid = 0;
  } else if (strcmp(how, "spawnp") == 0) {
    if (posix_spawnp(&pid, args[0], NULL, NULL, args, environ) != 0) pid = 0;
  } else if (strcmp(how, "system") == 0) {
    const int status = system(args[0]);
    printf("%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return;
  }
  wait_for(pid);
}

/* start HOW PROGRAM ARGS...: and says so before and after. */
static int start(char** args) {
  puts("before");
  if (strcmp(args[0], "exec") == 0) execv(args[1], args + 1);
  start_by(args[0], args + 1);
  puts("after");
  return 0;
}

/* spawn-redirected FILE PROGRAM ARGS...: its output goes there, and it leads a group of its own. */
static int spawn_redirected(char** args) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, args[0], O_WRONLY | O_CREAT | O_TRUNC, 0666);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t pid = 0;
  if (posix_spawn(&pid, args[1], &actions, &attributes, args + 1, environ) != 0) return 1;
  siginfo_t info;
  waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
  printf("%s\n", getpgid(pid) == pid ? "own group" : "our group");
  wait_for(pid);
  return 0;
}

/* exec-fails FILE: what is written afterwards. */
static int exec_fails(char** args) {
  printf("%d", execv(args[0], args));
  printf(" %s\n", strerror(errno));
  execl("/bin/ls", "ls", "/proc/self/fd", (char*)NULL);
  return 1;
}

/* broken-pipe HOW PROGRAM: whose output nobody reads. */
static int broken_pipe(char** args) {
  int fds[2];
  const int out = dup(1);
  if (pipe(fds) != 0) return 1;
  close(fds[0]);
  dup2(fds[1], 1);
  close(fds[1]);
  fcntl(out, F_SETFD, FD_CLOEXEC);
  if (strcmp(args[0], "ignored") == 0) signal(SIGPIPE, SIG_IGN);
  pid_t pid = fork();
  if (pid == 0) {
    execv(args[1], args + 1);
    _exit(127);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  dprintf(out, "%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 0;
}

/* nonblocking PROGRAM: whose output goes to a pipe that does not block and is read late. Prints how much came. */
static int nonblocking(char** args) {
  int fds[2];
  if (pipe2(fds, O_NONBLOCK) != 0) return 1;
  pid_t pid = fork();
  if (pid == 0) {
    dup2(fds[1], 1);
    execv(args[0], args);
    _exit(127);
  }
  close(fds[1]);
  fcntl(fds[0], F_SETFL, 0);
  usleep(50000);
  char buffer[5000];
  size_t size = 0;
  for (ssize_t more = 1; more > 0; size += (size_t)more) more = read(fds[0], buffer, sizeof buffer);
  printf("%zu\n", size);
  wait_for(pid);
  return 0;
}

/* reads HOW: from standard input, all of it; prints how many units. */
static int reads(char** args) {
  static char buffer[256];
  static wchar_t wide[256];
  struct iovec part = {buffer, sizeof buffer};
  char* line = NULL;
  size_t size = 0;
  int count = 0, number = 0;
#define READ(name, condition)       \
  if (strcmp(args[0], name) == 0) { \
    while (condition) count++;      \
  }
  READ("read", read(0, buffer, sizeof buffer) > 0)
  READ("readv", readv(0, &part, 1) > 0)
  READ("syscall", syscall(SYS_read, 0, buffer, sizeof buffer) > 0)
  READ("fread", fread(buffer, 1, 1, stdin) > 0)
  READ("fread_unlocked", fread_unlocked(buffer, 1, 1, stdin) > 0)
  READ("fgets", fgets(buffer, sizeof buffer, stdin) != NULL)
  READ("fgetc", fgetc(stdin) != EOF)
  READ("getc", getc(stdin) != EOF)
  READ("getc_unlocked", getc_unlocked(stdin) != EOF)
  READ("getchar", getchar() != EOF)
  READ("getline", getline(&line, &size, stdin) > 0)
  READ("getdelim", getdelim(&line, &size, ' ', stdin) > 0)
  READ("scanf", scanf("%d", &number) == 1)
  READ("fscanf", fscanf(stdin, "%d", &number) == 1)
  READ("wscanf", wscanf(L"%d", &number) == 1)
  READ("fgetwc", fgetwc(stdin) != WEOF)
  READ("fgetws", fgetws(wide, 256, stdin) != NULL)
  printf("%d %d\n", count, number);
  free(line);
  return 0;
}

/* reads-anew: what standard input means changes three times. */
static int reads_anew(char** args) {
  (void)args;
  char byte;
  for (int i = 0; i < 3; i++) {
    int fds[2];
    (void)!read(0, &byte, 1);
    (void)!read(0, &byte, 1);
    if (pipe(fds) != 0 || write(fds[1], "xy", 2) != 2) return 1;
    if (i == 0) dup2(fds[0], 0);
    if (i == 1) close(0);
    if (i == 1 && fcntl(fds[0], F_DUPFD, 0) != 0) return 2;
    close(fds[0]);
    close(fds[1]);
  }
  return 0;
}

/* reads-late: a pipe that has nothing for it at first. */
static int reads_late(char** args) {
  (void)args;
  char byte;
  int fds[2];
  if (pipe2(fds, O_NONBLOCK) != 0 || dup2(fds[0], 0) != 0) return 1;
  for (int i = 0; i < 3; i++) {
    if (i == 1 && write(fds[1], "xy", 2) != 2) return 2;
    (void)!read(0, &byte, 1);
  }
  return 0;
}

/* reads-own FILE: which it opens itself, in a vfork child too. */
static int reads_own(char** args) {
  char byte;
  const int fd = open(args[0], O_RDONLY);
  for (int i = 0; i < 3; i++) (void)!read(fd, &byte, 1);
  FILE* stream = fopen(args[0], "r");
  while (getc(stream) != EOF) {
  }
  fclose(stream);
  const pid_t pid = vfork();
  if (pid == 0) {
    close(0);
    open(args[0], O_RDONLY); /* 0, in the child */
    _exit(0);
  }
  wait_for(pid);
  (void)!read(0, &byte, 1);
  return 0;
}

/* maps: standard input */
static int maps(char** args) {
  (void)args;
  const char* text = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, 0, 0);
  mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return text == MAP_FAILED;
}

/* search NAME: along PATH */
static int search(char** args) {
  pid_t pid = fork();
  if (pid == 0) {
    execlp(args[0], args[0], "one", "two", (char*)NULL);
    _exit(errno);
  }
  wait_for(pid);
  return 0;
}

/* nested: a vfork child that vforks */
static int nested(char** args) {
  pid_t pid = vfork();
  if (pid == 0) {
    pid_t inner = vfork();
    if (inner == 0) {
      access("/inner", F_OK);
      execv(args[0], args);
      _exit(127);
    }
    access("/middle", F_OK);
    waitpid(inner, NULL, 0);
    _exit(4);
  }
  access("/outer", F_OK);
  wait_for(pid);
  return 0;
}

static char clone_stack[65536] __attribute__((aligned(16)));
static int cloned(void* argument) {
  access(argument, F_OK);
  return 6;
}

/* clones: a fork-like and a vfork-like one. */
static int clones(char** args) {
  (void)args;
  wait_for(clone(cloned, clone_stack + sizeof clone_stack, SIGCHLD, "/cloned"));
  wait_for(clone(cloned, clone_stack + sizeof clone_stack, SIGCHLD | CLONE_VM | CLONE_VFORK, "/vcloned"));
  access("/parent", F_OK);
  return 0;
}

static volatile sig_atomic_t alarms;
static void on_alarm(int number) {
  (void)number;
  int saved = errno;
  int fd = open("/etc/passwd", O_RDONLY);
  if (fd >= 0) close(fd);
  errno = saved;
  alarms++;
}

/* signals: opens from a handler on the smallest stack, while the program stats. Prints how often. */
static int signals(char** args) {
  static char stack[16384];
  stack_t alternate = {.ss_sp = stack, .ss_size = MINSIGSTKSZ > 2048 ? MINSIGSTKSZ : 2048};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_ONSTACK | SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval timer = {{0, 50}, {0, 50}};
  setitimer(ITIMER_REAL, &timer, NULL);
  stats(args);
  struct itimerval off = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &off, NULL);
  printf("%d\n", (int)alarms);
  return 0;
}

static void* thread_body(void* argument) {
  char path[64];
  struct stat status;
  for (int i = 0; i < 5000; i++) {
    snprintf(path, sizeof path, "/thread%ld/%d", (long)argument, i);
    stat(path, &status);
  }
  for (int i = 0; i < 5; i++) {
    pid_t pid;
    char* name[] = {"true", NULL};
    if (posix_spawn(&pid, "/bin/true", NULL, NULL, name, environ) == 0) waitpid(pid, NULL, 0);
  }
  return NULL;
}

/* threads: 8 of them stat and spawn at once. */
static int threads(char** args) {
  (void)args;
  pthread_t thread[8];
  for (long i = 0; i < 8; i++) pthread_create(&thread[i], NULL, thread_body, (void*)i);
  for (int i = 0; i < 8; i++) pthread_join(thread[i], NULL);
  return 0;
}

/* descriptors: those that are open, then close all but three and start ls of them. */
static int descriptors(char** args) {
  (void)args;
  close_range(3, ~0U, 0);
  pid_t pid = fork();
  if (pid == 0) {
    execl("/bin/ls", "ls", "/proc/self/fd", (char*)NULL);
    _exit(127);
  }
  wait_for(pid);
  return 0;
}

/* errnos: what failing calls leave behind. */
static int errnos(char** args) {
  (void)args;
  struct stat status;
  char* volatile bad = (char*)8;
  char* list[] = {"x", NULL};
  char buffer[8];
#define SHOW(call)                     \
  errno = 0;                           \
  {                                    \
    long result = (long)(call);        \
    printf("%ld %d\n", result, errno); \
  }
  SHOW(open("/nonexistent", O_RDONLY))
  SHOW(open(bad, O_RDONLY))
  SHOW(stat(bad, &status))
  SHOW(stat("/etc/passwd/x", &status))
  SHOW(execv("/nonexistent", list))
  SHOW(execv(bad, list))
  SHOW(execve("/etc/passwd", list, environ))
  SHOW(execvp("", list))
  SHOW(execvp("no-such-program", list))
  SHOW(execve("/etc", list, environ))
  char* bad_list[] = {"x", bad, NULL};
  SHOW(execve("/bin/true", bad_list, environ))
  SHOW(execve("/bin/true", (char**)bad, environ))
  SHOW(execve("/bin/true", list, (char**)bad))
  SHOW(rename("/nonexistent", "/etc/y"))
  SHOW(rename(bad, bad))
  SHOW(readlink("/etc/passwd", buffer, sizeof buffer))
  SHOW(fopen("/nonexistent", "r"))
  SHOW(opendir("/nonexistent"))
  SHOW(close(999))
  SHOW(dup2(999, 5))
  SHOW(fcntl(999, F_GETFD))
  SHOW(mkdir("/proc/x", 0777))
  SHOW(syscall(SYS_openat, AT_FDCWD, "/nonexistent", 0))
  SHOW(syscall(SYS_close, 999))
  SHOW(syscall(9999))
  SHOW(waitpid(-1, NULL, 0))
  SHOW(system(NULL))
  SHOW(posix_spawn(NULL, "/nonexistent", NULL, NULL, list, environ))
  SHOW(posix_spawnp(NULL, "no-such-program", NULL, NULL, list, environ))
  errno = 77;
  int fd = open("/etc/passwd", O_RDONLY);
  printf("%d\n", errno);
  close(fd);
  printf("%d\n", errno);
  return 0;
}

static int visit_old(const char* path, const struct stat* status, int type) {
  (void)status;
  printf("%d %s\n", type, path);
  return 0;
}
static int visit(const char* path, const struct stat* status, int type, struct FTW* place) {
  (void)place;
  return visit_old(path, status, type);
}

/* walk DIR: by glob, ftw, nftw with and without chdir, fts with and without; relative to DIR's parent. */
static int walk(char** args) {
  char pattern[4096];
  snprintf(pattern, sizeof pattern, "%s/*", args[0]);
  glob_t found;
  printf("%d", glob(pattern, 0, NULL, &found));
  printf(" %zu\n", found.gl_pathc);
  globfree(&found);
  ftw(args[0], visit_old, 10);
  nftw(args[0], visit, 10, FTW_PHYS | FTW_CHDIR);
  char* paths[] = {args[0], NULL};
  FTS* tree = fts_open(paths, FTS_PHYSICAL, NULL);
  for (FTSENT* node = fts_read(tree); node != NULL; node = fts_read(tree))
    printf("%d %s\n", node->fts_info, node->fts_path);
  fts_close(tree);
  access("here", F_OK);
  return 0;
}

/* expand WORDS */
static int expand(char** args) {
  wordexp_t words;
  printf("%d", wordexp(args[0], &words, 0));
  for (size_t i = 0; i < words.we_wordc; i++) printf(" [%s]", words.we_wordv[i]);
  printf("\n");
  return 0;
}

/* load LIBRARY */
static int load(char** args) {
  void* library = dlopen(args[0], RTLD_NOW);
  printf("%s\n", library != NULL ? "loaded" : dlerror());
  access("/after-load", F_OK);
  return 0;
}

/* raw: system calls by number. */
static int raw(char** args) {
  (void)args;
  struct open_how how = {.flags = O_RDONLY};
  long fd = syscall(SYS_openat, AT_FDCWD, "/etc/hostname", O_RDONLY, 0);
  syscall(SYS_close, fd);
  fd = syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof how);
  syscall(SYS_close, fd);
  syscall(SYS_unlinkat, AT_FDCWD, "/nonexistent/raw", 0);
  fd = syscall(SYS_io_uring_setup, 1, NULL);
  pid_t pid = syscall(SYS_fork);
  if (pid == 0) {
    access("/raw-child", F_OK);
    char* list[] = {"true", NULL};
    syscall(SYS_execve, "/bin/true", list, environ);
  }
  wait_for(pid);
  return 0;
}

/* exits HOW */
static int exits(char** args) {
  if (strcmp(args[0], "_exit") == 0) _exit(11);
  if (strcmp(args[0], "quick_exit") == 0) quick_exit(12);
  if (strcmp(args[0], "exit") == 0) exit(13);
  if (strcmp(args[0], "abort") == 0) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    abort();
  }
  return 14;
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The best of many short rounds: what it costs while nobody disturbs. */
#define BEST(unit, scale, rounds, calls, what)           \
  {                                                      \
    double best = 1e9;                                   \
    for (int round = 0; round < (rounds); round++) {     \
      const double start = seconds();                    \
      for (int i = 0; i < (calls); i++) what;            \
      const double each = (seconds() - start) / (calls); \
      if (each < best) best = each;                      \
    }                                                    \
    printf("%7.2f " unit "\n", best*(scale));            \
  }

static void run_true(void) {
  const pid_t pid = vfork();
  if (pid == 0) {
    execl("/bin/true", "true", (char*)NULL);
    _exit(127);
  }
  waitpid(pid, NULL, 0);
}

static void spawn_true(void) {
  pid_t pid = 0;
  char* argv[] = {"true", NULL};
  if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ) == 0) waitpid(pid, NULL, 0);
}

static void vfork_nothing(void) {
  const pid_t pid = vfork();
  if (pid == 0) _exit(0);
  waitpid(pid, NULL, 0);
}

/* bench: stat, open and close, write, access of nothing, getc, getpid by number; vfork and
 * wait, with exec and by posix_spawn. */
static int bench(char** args) {
  (void)args;
  struct stat status;
  const int null = open("/dev/null", O_WRONLY);
  BEST("ns stat", 1e9, 400, 200, stat("/etc/hostname", &status))
  BEST("ns open+close", 1e9, 400, 200, close(open("/etc/hostname", O_RDONLY)))
  BEST("ns write", 1e9, 400, 200, (void)!write(null, "x", 1))
  BEST("ns access", 1e9, 400, 200, (void)!access("/nonexistent", F_OK))
  FILE* const zero = fopen("/dev/zero", "r");
  BEST("ns getc", 1e9, 400, 2000, getc(zero))
  fclose(zero);
  BEST("ns syscall", 1e9, 400, 200, syscall(SYS_getppid))
  BEST("us vfork+wait", 1e6, 400, 1, vfork_nothing())
  BEST("us vfork+exec+wait", 1e6, 400, 1, run_true())
  BEST("us posix_spawn+wait", 1e6, 400, 1, spawn_true())
  return 0;
}

/* environment: as it is, with LD_PRELOAD as getenv has it. */
static int environment(char** args) {
  (void)args;
  for (char** variable = environ; *variable != NULL; variable++) puts(*variable);
  return 0;
}

/* arguments: their number and total size */
static int arguments(char** args) {
  size_t count = 0, size = 0;
  for (; args[count] != NULL; count++) size += strlen(args[count]);
  printf("%zu %zu\n", count, size);
  return 0;
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    int (*run)(char** args);
  } actions[] = {
      {"opens", opens},
      {"stats", stats},
      {"die", die},
      {"empty-environment", empty_environment},
      {"children", children},
      {"start", start},
      {"spawn-redirected", spawn_redirected},
      {"exec-fails", exec_fails},
      {"broken-pipe", broken_pipe},
      {"nonblocking", nonblocking},
      {"reads", reads},
      {"reads-anew", reads_anew},
      {"reads-late", reads_late},
      {"reads-own", reads_own},
      {"maps", maps},
      {"search", search},
      {"nested", nested},
      {"clones", clones},
      {"signals", signals},
      {"threads", threads},
      {"descriptors", descriptors},
      {"errnos", errnos},
      {"walk", walk},
      {"expand", expand},
      {"load", load},
      {"raw", raw},
      {"exits", exits},
      {"bench", bench},
      {"environment", environment},
      {"arguments", arguments},
  };
  for (size_t i = 0; argc > 1 && i < sizeof actions / sizeof actions[0]; i++) {
    if (strcmp(argv[1], actions[i].name) == 0) {
      setvbuf(stdout, NULL, _IONBF, 0);
      return actions[i].run(argv + 2);
    }
  }
  return 99;
}
