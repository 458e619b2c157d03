#include "preload/runtime/fork.h"

#include <sched.h>
#include <stdarg.h>

#include <cerrno>

#include "preload/runtime/announce.h"
#include "preload/runtime/exit.h"
#include "preload/runtime/export.h"
#include "preload/runtime/load.h"
#include "preload/runtime/opaque.h"
#include "preload/runtime/scratch.h"
#include "preload/runtime/session.h"
#include "real_calls.h"

namespace ocpwatch {

constinit thread_local LeftMapping left_mapping = {};

bool BeginFork(FunctionId function, Birth* birth) {
  Behaviour behaviour = BehaviourFor(function);
  if (!IsActive()) return false;
  // Whatever the session wants of this function: the child's number has to be known.
  if (behaviour < Behaviour::kBeforeAndAfter) behaviour = Behaviour::kBeforeAndAfter;
  birth->parent = CurrentProcess();
  birth->call.function = function;
  birth->call.child = TakeProcessNumber();
  RecordBefore(birth->call, behaviour);
  return true;
}

void BecomeChild(const Birth& birth) {
  session.process = birth.call.child;
  vfork_process = 0;
  left_mapping = {};
  loading = false;
  if (IsActive()) AnnounceFork(birth.parent);
}

void EndFork(Birth& birth, long pid) {
  const int error = errno;
  birth.call.result = pid;
  birth.call.error = pid < 0 ? error : 0;
  RecordAfter(birth.call);
  errno = error;
}

pid_t Fork(FunctionId function, pid_t (*next)()) {
  Birth birth;
  if (!BeginFork(function, &birth)) return next();
  const pid_t pid = next();
  if (pid == 0) {
    BecomeChild(birth);
  } else {
    EndFork(birth, pid);
  }
  return pid;
}

namespace {

// What the child of a clone() runs. It lies on the parent's stack: the child has a copy of that, or the parent waits.
struct ClonedChild {
  int (*function)(void*);
  void* argument;
  const Birth* birth;
  bool shares_memory;
};

int RunClonedChild(void* data) {
  const ClonedChild child = *static_cast<const ClonedChild*>(data);
  if (child.shares_memory) {
    vfork_process = child.birth->call.child;
  } else {
    BecomeChild(*child.birth);
  }
  const int status = child.function(child.argument);
  TellExit(FunctionId::kUnderExit, status);
  return status;
}

// Clone(2) of everything but threads.
int Clone(int (*next)(int (*)(void*), void*, int, void*, ...), int (*function)(void*), void* stack, int flags,
          void* argument, void* parent_tid, void* tls, void* child_tid) {
  Birth birth;
  birth.call.flags = static_cast<uint32_t>(flags);
  const bool shares_memory = (flags & CLONE_VM) != 0;
  // A child that shares the memory while its parent goes on cannot be told apart from it.
  const bool followed = !shares_memory || ((flags & CLONE_VFORK) != 0 && (flags & CLONE_SETTLS) == 0);
  if (!followed) birth.call.opaque = static_cast<uint32_t>(Opaque::kCloned);
  if (function == nullptr || !BeginFork(FunctionId::kClone, &birth)) {
    return next(function, stack, flags, argument, parent_tid, tls, child_tid);
  }
  int pid = -1;
  if (followed) {
    ClonedChild child = {function, argument, &birth, shares_memory};
    const uint32_t self = vfork_process;
    pid = next(RunClonedChild, stack, flags, &child, parent_tid, tls, child_tid);
    vfork_process = self;
  } else {
    pid = next(function, stack, flags, argument, parent_tid, tls, child_tid);
  }
  EndFork(birth, pid);
  return pid;
}

}  // namespace
}  // namespace ocpwatch

using namespace ocpwatch;

OCPWATCH_EXPORT(pid_t, fork, ()) {
  BehaviourFor(FunctionId::kFork);  // Finds the real one if nothing has started us yet.
  return Fork(FunctionId::kFork, real.fork);
}

OCPWATCH_EXPORT(pid_t, __fork, ()) {
  BehaviourFor(FunctionId::kFork);
  return Fork(FunctionId::kFork, real.__fork);
}

OCPWATCH_EXPORT(pid_t, _Fork, ()) {
  BehaviourFor(FunctionId::kUnderFork);
  return Fork(FunctionId::kUnderFork, real._Fork);
}

#define OCPWATCH_CLONE(name)                                                                                         \
  OCPWATCH_EXPORT(int, name, (int (*function)(void*), void* stack, int flags, void* argument, ...)) {                \
    va_list rest;                                                                                                    \
    va_start(rest, argument);                                                                                        \
    void* const parent_tid = va_arg(rest, void*);                                                                    \
    void* const tls = va_arg(rest, void*);                                                                           \
    void* const child_tid = va_arg(rest, void*);                                                                     \
    va_end(rest);                                                                                                    \
    BehaviourFor(FunctionId::kClone);                                                                                \
    if ((flags & CLONE_THREAD) != 0) return real.name(function, stack, flags, argument, parent_tid, tls, child_tid); \
    return Clone(real.name, function, stack, flags, argument, parent_tid, tls, child_tid);                           \
  }

OCPWATCH_CLONE(clone)
OCPWATCH_CLONE(__clone)
