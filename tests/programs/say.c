// Says its arguments, and reads the file named by SAY_READS or by the argument after --read. The program that others
// execute; also built static, for musl, with AddressSanitizer and for 32 bits.
#include <fcntl.h>
#include <unistd.h>

#include "check.h"

int main(int argc, char** argv) {
  const char* path = getenv("SAY_READS");
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--read") == 0 && i + 1 < argc) {
      path = argv[++i];
      continue;
    }
    printf("%s%s", argv[i], i + 1 < argc ? " " : "");
  }
  printf("\n");
  if (path != NULL) {
    char text[64];
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && read(fd, text, sizeof text) >= 0 && close(fd) == 0);
  }
  return 0;
}
