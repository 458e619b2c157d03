// Runs SAY (argv[2]) after it did to its environment what argv[1] says; SAY reads the file "in_child".
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

extern char** environ;

int main(int argc, char** argv) {
  CHECK(argc == 3);
  const char* what = argv[1];
  char* args[] = {"say", "hello", "--read", "in_child", NULL};
  char* nothing[] = {NULL};
  char* foreign[] = {"LD_PRELOAD=/no/such/library.so", "A=1", NULL};
  char* stale[] = {"OCP_WATCH=1:1:1:00:1:1:0:/nowhere", "LD_PRELOAD=", NULL};
  char** environment = environ;
  if (strcmp(what, "clearenv") == 0) {
    CHECK(clearenv() == 0);
    environment = environ;
  }
  if (strcmp(what, "null") == 0) environ = NULL;
  if (strcmp(what, "empty") == 0) environment = nothing;
  if (strcmp(what, "foreign") == 0) environment = foreign;
  if (strcmp(what, "stale") == 0) environment = stale;
  if (strcmp(what, "unset") == 0) CHECK(unsetenv("LD_PRELOAD") == 0 && unsetenv("OCP_WATCH") == 0);
  pid_t child = fork();
  if (child == 0) {
    if (strcmp(what, "null") == 0) {
      execv(argv[2], args);
    } else {
      execve(argv[2], args, environment);
    }
    _exit(1);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  if (strcmp(what, "null") != 0) {
    CHECK(posix_spawn(&child, argv[2], NULL, NULL, args, environment) == 0);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
  }
  return 0;
}
