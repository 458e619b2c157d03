// A lot of one thing. "opens N": opens and closes "file" N times. "processes N AT_ONCE SAY": runs SAY N times, AT_ONCE
// side by side. "stats N" the same with stat.
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

extern char** environ;

int main(int argc, char** argv) {
  CHECK(argc >= 3);
  int count = atoi(argv[2]);
  if (strcmp(argv[1], "opens") == 0) {
    for (int i = 0; i < count; ++i) {
      int fd = open("file", O_RDONLY);
      CHECK(fd >= 0 && close(fd) == 0);
    }
  } else if (strcmp(argv[1], "stats") == 0) {
    struct stat status;
    for (int i = 0; i < count; ++i) CHECK(stat("file", &status) == 0);
  } else {
    int at_once = atoi(argv[3]);
    int running = 0;
    for (int i = 0; i < count || running > 0;) {
      if (i < count && running < at_once) {
        char word[32];
        pid_t child;
        snprintf(word, sizeof word, "%d", i);
        char* args[] = {"say", word, NULL};
        CHECK(posix_spawn(&child, argv[4], NULL, NULL, args, environ) == 0);
        ++i, ++running;
        continue;
      }
      int status;
      CHECK(wait(&status) > 0 && status == 0);
      --running;
    }
  }
  return 0;
}
