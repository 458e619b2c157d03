// Eight threads, each opens 50 files in/T.I and writes out/T.I, and runs five programs by fork, vfork or posix_spawn:
// all at once.
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { kThreads = 8, kFiles = 50, kPrograms = 5 };

extern char** environ;

static const char* say;

static void Run(int thread, int program) {
  char word[32];
  int status;
  pid_t child;
  snprintf(word, sizeof word, "word.%d.%d", thread, program);
  char* args[] = {"say", word, NULL};
  if (program % 3 == 0) {
    CHECK(posix_spawn(&child, say, NULL, NULL, args, environ) == 0);
  } else {
    child = program % 3 == 1 ? fork() : vfork();
    if (child == 0) {
      execv(say, args);
      _exit(1);
    }
  }
  CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void* Work(void* number) {
  int thread = (int)(long)number;
  for (int i = 0; i < kFiles; ++i) {
    char path[64];
    snprintf(path, sizeof path, "in/%d.%d", thread, i);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && close(fd) == 0);
    snprintf(path, sizeof path, "out/%d.%d", thread, i);
    fd = open(path, O_WRONLY | O_CREAT, 0644);
    CHECK(fd >= 0 && close(fd) == 0);
    if (i % (kFiles / kPrograms) == 0) Run(thread, i / (kFiles / kPrograms));
  }
  return NULL;
}

int main(int argc, char** argv) {
  pthread_t threads[kThreads];
  CHECK(argc == 2);
  say = argv[1];
  for (long i = 0; i < kThreads; ++i) CHECK(pthread_create(&threads[i], NULL, Work, (void*)i) == 0);
  for (int i = 0; i < kThreads; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
  return 0;
}
