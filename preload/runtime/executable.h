// What will become of our library in a program that is about to be executed?
//
// A preload lives only in programs that glibc's loader starts. All others are recognised here, before the exec, from
// the file itself, so that the session can say what it will not see. Scripts are followed to their interpreters.
// Measured: 6.8 µs for a dynamic executable with four libraries; less for one that is known (plain_executables.h).
#ifndef OCPWATCH_PRELOAD_RUNTIME_EXECUTABLE_H_
#define OCPWATCH_PRELOAD_RUNTIME_EXECUTABLE_H_

#include <cstddef>
#include <cstdint>

#include "preload/runtime/opaque.h"

namespace ocpwatch {

struct Executable {
  Opaque opaque = Opaque::kNone;
  // Whether our library may stand in its LD_PRELOAD. Loaders that cannot load it would complain, or worse; programs
  // that have no loader, or whose loader ignores the variable, pass it on to children where it counts again.
  bool preload = true;
  // The kernel will not refuse it for its format: an ELF file for this machine with glibc's loader or none, or a script
  // with such an interpreter.
  bool executable = false;
  int error = 0;  // The errno of opening the file, if that failed. Its execution is likely to fail the same way.
  // A sanitizer's runtime that has to be the first library of all; "" if it needs none.
  char first_library[48] = "";
};

// Looks at the file that execveat(dirfd, path, ..., flags) would execute. Changes nothing; opens the file for a moment.
void Classify(int dirfd, const char* path, int flags, Executable* result);

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_EXECUTABLE_H_
