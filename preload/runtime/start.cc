#include "preload/runtime/start.h"

#include <sched.h>

#include "preload/runtime/announce.h"
#include "preload/runtime/call.h"
#include "preload/runtime/environment.h"
#include "preload/runtime/exit.h"
#include "preload/runtime/lazy_calls.h"
#include "preload/runtime/load.h"
#include "preload/runtime/ring_mapping.h"
#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"

extern "C" char** environ;

namespace ocpwatch {
namespace {

// While one thread starts, the others let it: 20 µs, unless its processor is busy otherwise.
constexpr int kPatience = 10'000;

std::atomic<int> starting_thread{0};

// Whether we are the process that OCP_WATCH speaks of, and not started by something that could not be observed.
bool IsExpected(const Expected& expected) {
  if (expected.pid != 0) return expected.pid == RawGetpid();
  const int parent = RawGetppid();
  // A parent that has ended already, or lives outside of our pid namespace, is given the benefit of the doubt.
  return parent == expected.parent_pid || parent == 0 || ProcessIsGone(expected.parent_pid);
}

bool Join(const char* const* argv) {
  const char* const variable = FindWatchVariable(environ);
  if (variable == nullptr) return false;
  FindOurselves();
  Expected expected;
  const bool understood = ParseWatchVariable(variable, &expected);
  CleanEnvironment(environ);
  if (!understood) return false;
  session.process = expected.process;
  if (!MapRing()) return false;
  if (session.ring->state.load(std::memory_order_relaxed) != static_cast<uint32_t>(RingState::kOpen)) return false;
  uint32_t opaque_ancestor = 0;
  if (!IsExpected(expected)) {
    opaque_ancestor = expected.process;
    session.process = TakeProcessNumber();
  }
  in_build_session = session.ring->collect_environment != 0;
  AnnounceImage(argv, opaque_ancestor);
  return true;
}

}  // namespace

void Start(int, const char* const* argv) {
  auto before = Phase::kNotStarted;
  const int thread = static_cast<int>(RawSyscall(SYS_gettid));
  if (!session.phase.compare_exchange_strong(before, Phase::kStarting, std::memory_order_acq_rel)) {
    if (starting_thread.load(std::memory_order_relaxed) == thread) return;  // What we call calls us.
    for (int i = 0; i < kPatience && session.phase.load(std::memory_order_acquire) == Phase::kStarting; ++i) {
      RawSyscall(SYS_sched_yield);
    }
    return;
  }
  starting_thread.store(thread, std::memory_order_relaxed);
  PrepareRealCalls();
  if (environ == nullptr) {
    // A sanitizer's runtime calls before libc itself has been initialised. Our constructor comes later.
    session.phase.store(Phase::kNotStarted, std::memory_order_release);
    return;
  }
  const bool joined = Join(argv);
  session.phase.store(joined ? Phase::kActive : Phase::kOff, std::memory_order_release);
  if (joined) TellStatusAtExit();
}

}  // namespace ocpwatch

// libc calls constructors with main's arguments.
__attribute__((constructor)) static void OnLoad(int argc, char** argv, char**) {
  if (ocpwatch::session.phase.load(std::memory_order_acquire) == ocpwatch::Phase::kNotStarted) {
    ocpwatch::Start(argc, argv);
  }
}
