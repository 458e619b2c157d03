// Starting a program in a new process by posix_spawn.
#ifndef OCPWATCH_PRELOAD_RUNTIME_SPAWN_H_
#define OCPWATCH_PRELOAD_RUNTIME_SPAWN_H_

#include <spawn.h>
#include <sys/types.h>

#include "preload/runtime/call.h"

namespace ocpwatch {

struct SpawnRequest {
  FunctionId function;  // What the program called.
  bool search;          // posix_spawnp
  const char* file;
  const posix_spawn_file_actions_t* actions;
  const posix_spawnattr_t* attributes;
  char* const* argv;
  char* const* environment;
};

// As posix_spawn: 0 or an errno.
int Spawn(const SpawnRequest& request, pid_t* pid);

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_SPAWN_H_
