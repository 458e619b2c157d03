// The end of a process: its status is told before it is gone.
#ifndef OCPWATCH_PRELOAD_RUNTIME_EXIT_H_
#define OCPWATCH_PRELOAD_RUNTIME_EXIT_H_

#include "preload/runtime/call.h"

namespace ocpwatch {

// Tells that the process is about to end with `status`, by the function.
void TellExit(FunctionId function, int status);

// Has libc call us with the status when main returns or exit() is called, after everything that the program registers.
void TellStatusAtExit();

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_EXIT_H_
