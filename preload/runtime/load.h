// The shared libraries that the loader opens: those there at the start, and later those of dlopen.
//
// The loader's own opens do not pass through any intercepted call. What was loaded before our constructor goes into
// Proc. A dlopen has to be made by the program's own caller, for the loader looks at the return address to find out
// whose RUNPATH, $ORIGIN and namespace count: our wrapper tells what is asked for, then jumps to the real function and
// never gets control back. What that has loaded, dependencies included, is told by the thread's next recorded call, or
// at exit.
#ifndef OCPWATCH_PRELOAD_RUNTIME_LOAD_H_
#define OCPWATCH_PRELOAD_RUNTIME_LOAD_H_

#include <cstddef>
#include <cstdint>

#include "preload/runtime/frame_encoder.h"

namespace ocpwatch {

// Sets session.library and library_base.
void FindOurselves();

// The libraries loaded at start: what SizeOfAll() has counted EncodeAll() writes, in the same order.
class LibraryNames {
 public:
  // Encoded size of all, or of as many of the first as fit in `budget`.
  size_t SizeOfAll(size_t budget);
  void EncodeAll(FrameEncoder& frame, uint32_t field, size_t size) const;
};

// Set by a thread that has gone into dlopen.
extern constinit thread_local bool loading;

void TellLoadedLibrariesNow();

// Tells what dlopen has loaded since, if this thread has called it.
inline void TellLoadedLibraries() {
  if (__builtin_expect(loading, 0)) TellLoadedLibrariesNow();
}

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_LOAD_H_
