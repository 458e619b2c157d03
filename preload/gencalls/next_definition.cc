#include "preload/gencalls/next_definition.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

namespace ocpwatch {
namespace {

long Missing() {
  errno = ENOSYS;
  return -1;
}

}  // namespace

void NextDefinitions(const char* names, void** definitions, size_t count) {
  for (size_t i = 0; i < count; i++) {
    void* found = dlsym(RTLD_NEXT, names);
    definitions[i] = found != nullptr ? found : reinterpret_cast<void*>(&Missing);
    names += strlen(names) + 1;
  }
}

}  // namespace ocpwatch
