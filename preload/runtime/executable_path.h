// What /proc/self/exe says, for less.
//
// The kernel makes entries under /proc for each process that looks at its own, and takes them away when that ends:
// readlink("/proc/self/exe") is 11 µs of a process that lives for 500. The kernel's name of the file that was executed
// (AT_EXECFN), with its symbolic links followed, is the same for 2 µs, except for scripts and for what was executed by
// descriptor.
#ifndef OCPWATCH_PRELOAD_RUNTIME_EXECUTABLE_PATH_H_
#define OCPWATCH_PRELOAD_RUNTIME_EXECUTABLE_PATH_H_

#include <cstddef>

namespace ocpwatch {

// Longer paths are rare, and each page of stack that is touched for the first time costs a fault.
inline constexpr size_t kUsualPath = 512;

// Writes the path of this process's program and returns its length; 0 if it cannot be found out or is too long for
// `path`, which has room for `room` bytes. `requested` is AT_EXECFN or null, `argv` null if it is not known, `cwd`
// where the process stands.
size_t ExecutablePath(const char* requested, const char* const* argv, const char* cwd, char* path, size_t room);

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_EXECUTABLE_PATH_H_
