// Forks: the child gets its process number before it is born, so that the parent's frame that says so comes before
// every frame of the child.
//
// A fork's child has its own copy of our memory, takes its number and announces itself. A vfork's child shares the
// memory and the parent's thread stands still: the thread-local vfork_process says who is running, and nothing is
// announced.
#ifndef OCPWATCH_PRELOAD_RUNTIME_FORK_H_
#define OCPWATCH_PRELOAD_RUNTIME_FORK_H_

#include <sys/types.h>

#include "preload/runtime/call.h"

namespace ocpwatch {

// A fork under way.
struct Birth {
  Call call;
  uint32_t parent = 0;
};

// Before the fork: takes a number for the child and tells. False: this process does not record, nothing was done.
bool BeginFork(FunctionId function, Birth* birth);
// In the child of a real fork.
void BecomeChild(const Birth& birth);
// In the parent, or where the fork failed: `pid` as fork returned it, with errno. Keeps errno.
void EndFork(Birth& birth, long pid);

// As fork() of the program.
pid_t Fork(FunctionId function, pid_t (*next)());

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_FORK_H_
