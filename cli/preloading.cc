#include "cli/preloading.h"

#include <fcntl.h>

#include "preload/runtime/executable.h"
#include "preload/runtime/session.h"

namespace ocpwatch {

Preloading PreloadingOf(const std::string& program) {
  // Whether the library itself can be read there is the daemon's matter; something that can be is what counts here.
  session.library = "/proc/self/exe";
  Executable executable;
  Classify(AT_FDCWD, program.c_str(), 0, &executable);
  return {static_cast<v1::OpaqueReason>(executable.opaque), executable.preload, executable.first_library};
}

}  // namespace ocpwatch
