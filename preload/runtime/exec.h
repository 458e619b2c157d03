// Executing a program in place of this one.
#ifndef OCPWATCH_PRELOAD_RUNTIME_EXEC_H_
#define OCPWATCH_PRELOAD_RUNTIME_EXEC_H_

#include "preload/runtime/call.h"

namespace ocpwatch {

struct ExecRequest {
  FunctionId function;  // What the program called.
  int dirfd;
  const char* path;
  char* const* argv;
  char* const* environment;
  int flags;  // As execveat's.
};

// Returns only if that fails: -1 with errno.
int Execute(const ExecRequest& request);

// The same for a file that is searched along PATH.
int ExecuteOnPath(const ExecRequest& request);

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_EXEC_H_
