// Finds the real functions when they are first called.
//
// To find all 275 at the start costs 29 µs of a process that calls five of them. So `real` is filled with stubs at
// first, each of which finds its own function, puts it in its own place, and goes on to it as if it had been called.
// Finding reads the loader's tables and takes no lock (gencalls/next_definition.h), so this is right in signal handlers
// and vfork children.
#ifndef OCPWATCH_PRELOAD_RUNTIME_LAZY_CALLS_H_
#define OCPWATCH_PRELOAD_RUNTIME_LAZY_CALLS_H_

namespace ocpwatch {

// Makes `real` usable. Does nothing if it is already.
void PrepareRealCalls();

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_LAZY_CALLS_H_
