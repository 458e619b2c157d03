// Puts other files in the place of descriptors that a program to be executed will inherit.
//
// What the program writes to a pipe or a terminal is to be captured whole, and libc's stdio does not pass through any
// intercepted call. So before the exec such a descriptor is replaced by one that leads to the daemon. Should the exec
// fail, everything is as it was.
//
// Also linked into ocp-watch-replay, which has no libc: raw system calls only, no memory but its own.
#ifndef OCPWATCH_PRELOAD_RUNTIME_SUBSTITUTION_H_
#define OCPWATCH_PRELOAD_RUNTIME_SUBSTITUTION_H_

#include <cstddef>

namespace ocpwatch {

// Standard output and error, and what a shell script has opened beside: more are left as they are.
inline constexpr size_t kMostSubstitutes = 32;

class Substitution {
 public:
  Substitution() = default;
  Substitution(const Substitution&) = delete;
  Substitution& operator=(const Substitution&) = delete;

  // Opens `path` and makes it each of `fds`, with the status flags (O_APPEND, O_NONBLOCK) of the first; those that
  // would not be inherited stay as they are. Either all or none: `path` is opened only when nothing else can go wrong,
  // so that who made it can tell by that whether it has taken the place.
  void Apply(const char* path, const int* fds, size_t count);

  // Puts the originals back.
  void Undo();

 private:
  struct Kept {
    int fd;
    int original;  // Where it has been put meanwhile; closed by an exec.
  };
  bool Keep(int fd);
  void LetGo(size_t first);

  Kept kept_[kMostSubstitutes];
  size_t count_ = 0;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_SUBSTITUTION_H_
