// Calls libc while the program is being initialised, as allocators do (jemalloc reads a symlink for its options).
#include <fcntl.h>
#include <unistd.h>

#include "check.h"

static ssize_t early_result;

__attribute__((constructor(101))) static void Early(void) {
  char target[100];
  early_result = readlink("options", target, sizeof target);
  int fd = open("early", O_RDONLY);
  if (fd >= 0) close(fd);
}

// An allocator of the program's own that opens a file at its first use.
static char heap[1 << 22];
static size_t used;

void* malloc(size_t size) {
  if (used == 0) {
    used = 16;
    int fd = open("in_malloc", O_RDONLY);
    if (fd >= 0) close(fd);
  }
  size_t at = __atomic_fetch_add(&used, (size + 31) / 16 * 16, __ATOMIC_RELAXED);
  if (at + size > sizeof heap) return NULL;
  *(size_t*)(heap + at) = size;
  return heap + at + 16;
}

void free(void* block) { (void)block; }

void* calloc(size_t count, size_t size) { return malloc(count * size); }

void* realloc(void* block, size_t size) {
  void* result = malloc(size);
  if (block != NULL && result != NULL) {
    size_t old = *(size_t*)((char*)block - 16);
    memcpy(result, block, old < size ? old : size);
  }
  return result;
}

int main(void) {
  printf("%zd\n", early_result);
  int fd = open("late", O_RDONLY);
  CHECK(fd >= 0 && close(fd) == 0);
  return 0;
}
