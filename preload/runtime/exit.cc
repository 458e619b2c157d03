#include "preload/runtime/exit.h"

#include <stdlib.h>

#include "preload/runtime/call.h"
#include "preload/runtime/export.h"
#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"
#include "real_calls.h"

namespace ocpwatch {

void TellExit(FunctionId function, int status) {
  const Behaviour behaviour = BehaviourFor(function);
  if (behaviour == Behaviour::kOff) return;
  Call call;
  call.function = function;
  call.value = status;
  RecordBefore(call, behaviour);
}

static void AtExit(int status, void*) { TellExit(FunctionId::kExit, status); }

void TellStatusAtExit() { on_exit(AtExit, nullptr); }

}  // namespace ocpwatch

using namespace ocpwatch;

// Registered handlers run first and ours is the last of them: it tells.
OCPWATCH_EXPORT(void, exit, (int status)) {
  BehaviourFor(FunctionId::kExit);  // Finds the real one if nothing has started us yet.
  real.exit(status);
  RawExit(status);
}

OCPWATCH_EXPORT(void, _exit, (int status)) {
  TellExit(FunctionId::kUnderExit, status);
  RawExit(status);
}

OCPWATCH_EXPORT(void, _Exit, (int status)) {
  TellExit(FunctionId::kUnderExit, status);
  RawExit(status);
}

OCPWATCH_EXPORT(void, quick_exit, (int status)) {
  TellExit(FunctionId::kQuickExit, status);
  real.quick_exit(status);
  RawExit(status);
}
