// Children without an exec: a child, a grandchild and a sibling, each with a file of its own. With "orphan": a child
// that outlives this process by half a second and only then writes. With "kill N": opens "file" N times, then SIGKILL.
// With "killed_child": a child that is killed by its parent while it sleeps, after it opened "child".
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static void Read(const char* path) {
  int fd = open(path, O_RDONLY);
  CHECK(fd >= 0 && close(fd) == 0);
}

static void Write(const char* path) {
  int fd = open(path, O_WRONLY | O_CREAT, 0644);
  CHECK(fd >= 0 && close(fd) == 0);
}

static void Wait(pid_t child) {
  int status;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  printf("%d\n", status);
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "family";
  if (strcmp(what, "orphan") == 0) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      Read("early");
      usleep(500000);
      Write("late");
      _exit(0);
    }
    return 0;
  }
  if (strcmp(what, "kill") == 0) {
    for (int i = atoi(argv[2]); i > 0; --i) Read("file");
    kill(getpid(), SIGKILL);
  }
  if (strcmp(what, "killed_child") == 0) {
    int ready[2];
    CHECK(pipe(ready) == 0);
    pid_t child = fork();
    if (child == 0) {
      Read("child");
      Write("written");
      // Only now: that the file is there does not say that open has returned.
      CHECK(write(ready[1], "", 1) == 1);
      pause();
    }
    char byte;
    CHECK(read(ready[0], &byte, 1) == 1);
    CHECK(kill(child, SIGKILL) == 0);
    Wait(child);
    return 0;
  }
  pid_t child = fork();
  if (child == 0) {
    Read("child");
    pid_t grandchild = fork();
    if (grandchild == 0) {
      Read("grandchild");
      _exit(5);
    }
    Wait(grandchild);
    fflush(stdout);
    CHECK(chdir("directory") == 0);
    Read("below");
    _exit(3);
  }
  Wait(child);
  Read("parent");
  return 0;
}
