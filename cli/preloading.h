// What will become of the library in the program that is to be recorded? Asked before the command is started, as every
// traced process asks it before an exec: a program that the library cannot enter is said to be so from the start, and
// one whose loader could not even load it (musl's) is started without.
//
// The answer is the library's own (preload/runtime/executable.h), the one thing that the client shares with it besides
// the protocol.
#ifndef OCPWATCH_CLI_PRELOADING_H_
#define OCPWATCH_CLI_PRELOADING_H_

#include <string>

#include "ocpwatch/v1/intercept.pb.h"

namespace ocpwatch {

struct Preloading {
  v1::OpaqueReason opaque = v1::OPAQUE_NONE;
  bool possible = true;  // The library may stand in LD_PRELOAD.
  std::string first;     // A sanitizer's runtime that has to stand in front of all others; usually empty.
};

// Of the file that execve(program) would execute.
Preloading PreloadingOf(const std::string& program);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_PRELOADING_H_
