// Executes SAY (argv[1], a path with a slash) in every way there is, each with a word of its own, and prints each word
// and the status. A script without and one with a first line of #! lie in the working directory: plain_script,
// hash_script.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

#include "check.h"

extern char** environ;

static const char* say;

static void Report(const char* word, pid_t child) {
  int status;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  printf("%s %d\n", word, status);
  fflush(stdout);
}

// In a forked child: the call given; then, if it came back, errno as the exit status.
#define IN_CHILD(word, call)                            \
  do {                                                  \
    char* args[] = {(char*)"say", (char*)(word), NULL}; \
    (void)args;                                         \
    pid_t child = fork();                               \
    if (child == 0) {                                   \
      call;                                             \
      _exit(errno);                                     \
    }                                                   \
    Report(word, child);                                \
  } while (0)

static void Forked(void) {
  char command[4096];
  int fd = open(say, O_RDONLY | O_CLOEXEC);
  int path_fd = open(say, O_PATH | O_CLOEXEC);
  CHECK(fd >= 0 && path_fd >= 0);
  IN_CHILD("execl", execl(say, "say", "execl", (char*)NULL));
  IN_CHILD("execle", execle(say, "say", "execle", (char*)NULL, environ));
  IN_CHILD("execlp", execlp("say", "say", "execlp", (char*)NULL));
  IN_CHILD("execv", execv(say, args));
  IN_CHILD("execve", execve(say, args, environ));
  IN_CHILD("execvp", execvp("say", args));
  IN_CHILD("execvpe", execvpe("say", args, environ));
  IN_CHILD("fexecve", fexecve(fd, args, environ));
  IN_CHILD("execveat", execveat(AT_FDCWD, say, args, environ, 0));
  IN_CHILD("execveat_fd", execveat(path_fd, "", args, environ, AT_EMPTY_PATH));
  IN_CHILD("syscall", syscall(SYS_execve, say, args, environ));
  // These three fail, and the child goes on.
  IN_CHILD("missing", execv("./no_such_program", args));
  IN_CHILD("missing_in_path", execvp("no_such_program", args));
  IN_CHILD("not_executable", execv("./not_executable", args));
  IN_CHILD("second_try", (execv("./no_such_program", args), execv(say, args)));
  char* script[] = {"script", "plain_script", NULL};
  IN_CHILD("plain_script", execvp("./plain_script", script));
  script[1] = "hash_script";
  IN_CHILD("hash_script", execv("./hash_script", script));
  // The other ways to have a child.
  char* args[] = {"say", "vfork", NULL};
  pid_t child = vfork();
  if (child == 0) {
    execv(say, args);
    _exit(1);
  }
  Report("vfork", child);
  args[1] = "vfork_failed";
  child = vfork();
  if (child == 0) {
    execv("./no_such_program", args);
    _exit(7);
  }
  Report("vfork_failed", child);
  args[1] = "raw_fork";
  child = (pid_t)syscall(SYS_fork);
  if (child == 0) {
    execv(say, args);
    _exit(1);
  }
  Report("raw_fork", child);
  // Three times the same image: the process executes itself anew.
  snprintf(command, sizeof command, "exec '%s' shell_exec", say);
  IN_CHILD("shell_exec", execl("/bin/sh", "sh", "-c", command, (char*)NULL));
}

static void Spawned(void) {
  pid_t child;
  char* args[] = {"say", "posix_spawn", NULL};
  CHECK(posix_spawn(&child, say, NULL, NULL, args, environ) == 0);
  Report("posix_spawn", child);
  args[1] = "posix_spawnp";
  CHECK(posix_spawnp(&child, "say", NULL, NULL, args, environ) == 0);
  Report("posix_spawnp", child);
  args[1] = "spawn_missing";
  CHECK(posix_spawn(&child, "./no_such_program", NULL, NULL, args, environ) == ENOENT);

  posix_spawn_file_actions_t actions;
  CHECK(posix_spawn_file_actions_init(&actions) == 0);
  CHECK(posix_spawn_file_actions_addchdir_np(&actions, "elsewhere") == 0);
  CHECK(posix_spawn_file_actions_addopen(&actions, 1, "spawned.out", O_WRONLY | O_CREAT, 0644) == 0);
  args[1] = "spawn_actions";
  char* with_reading[] = {"say", "spawn_actions", "--read", "read_there", NULL};
  CHECK(posix_spawn(&child, say, &actions, NULL, with_reading, environ) == 0);
  CHECK(posix_spawn_file_actions_destroy(&actions) == 0);
  Report("spawn_actions", child);
}

static int Executed(void* word) {
  char* args[] = {"say", word, NULL};
  execv(say, args);
  _exit(1);
}

static void Others(void) {
  static char stack[65536] __attribute__((aligned(16)));
  char command[4096];
  char line[100];
  snprintf(command, sizeof command, "'%s' system", say);
  printf("system %d\n", system(command));
  snprintf(command, sizeof command, "'%s' popen", say);
  FILE* pipe = popen(command, "r");
  CHECK(pipe != NULL && fgets(line, sizeof line, pipe) != NULL && strcmp(line, "popen\n") == 0);
  printf("popen %d\n", pclose(pipe));
  wordexp_t words;
  snprintf(command, sizeof command, "$('%s' wordexp)", say);
  CHECK(wordexp(command, &words, 0) == 0 && words.we_wordc == 1 && strcmp(words.we_wordv[0], "wordexp") == 0);
  wordfree(&words);
  printf("wordexp\n");
  fflush(stdout);
  Report("clone_vfork", clone(Executed, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, "clone_vfork"));
  Report("clone", clone(Executed, stack + sizeof stack, SIGCHLD, "clone"));
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  say = argv[1];
  Forked();
  Spawned();
  Others();
  return 0;
}
