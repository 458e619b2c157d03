// Ends in the way that argv[1] names.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

static void Last(void) { (void)!open("at_exit", O_RDONLY); }

static void* Exit(void* unused) {
  (void)unused;
  exit(21);
}

int main(int argc, char** argv) {
  CHECK(argc >= 2);
  const char* way = argv[1];
  CHECK(atexit(Last) == 0 && at_quick_exit(Last) == 0);
  if (strcmp(way, "return") == 0) return 11;
  if (strcmp(way, "exit") == 0) exit(12);
  if (strcmp(way, "_exit") == 0) _exit(13);
  if (strcmp(way, "_Exit") == 0) _Exit(14);
  if (strcmp(way, "quick_exit") == 0) quick_exit(15);
  if (strcmp(way, "syscall") == 0) syscall(SYS_exit_group, 16);
  if (strcmp(way, "thread") == 0) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, Exit, NULL) == 0);
    pause();
  }
  if (strcmp(way, "pthread_exit") == 0) pthread_exit(NULL);
  if (strcmp(way, "abort") == 0) abort();
  int* volatile nowhere = NULL;
  if (strcmp(way, "segv") == 0) return *nowhere;
  if (strcmp(way, "term") == 0) raise(SIGTERM);
  if (strcmp(way, "exec") == 0) execvp(argv[2], argv + 2);
  CHECK(!"a known way");
}
