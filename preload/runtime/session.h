// What a traced process knows of its session, and the rules of this library.
//
// We are a guest in somebody's program. Rules for all of preload/runtime:
//   - Never abort, deadlock or slow down without bound. Never change errno, descriptors, signal masks or the
//   environment.
//   - Nothing but libc is needed; no heap, no exceptions, no locks. Our own input and output are raw system calls
//     (syscalls.h), strings are handled by text.h. What libc is asked for (dlsym, clock_gettime, dl_iterate_phdr) is
//     listed in start.cc.
//   - Every function may be called in a signal handler, on a small alternate stack, by any thread, between fork and
//     exec, and in a vfork child: there all memory is the parent's. What differs in the child lives in thread-local
//     variables (the parent's thread stands still meanwhile) and is put back by the parent.
//   - If in doubt, the program goes on and the session is marked incomplete.
//
// A process starts recording in our constructor, or at its first intercepted call if that comes earlier. Afterwards
// the members of `session` are only read, but for `process` in a forked child and `phase`.
#ifndef OCPWATCH_PRELOAD_RUNTIME_SESSION_H_
#define OCPWATCH_PRELOAD_RUNTIME_SESSION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ocpwatch/v1/ring.h"

namespace ocpwatch {

enum class Phase : uint32_t {
  kNotStarted = 0,
  kStarting = 1,  // One thread starts; all calls go straight through.
  kActive = 2,
  kOff = 3,  // Not traced, or no longer.
};

struct Session {
  std::atomic<Phase> phase;
  uint32_t process;  // Our number; see CurrentProcess().
  RingHeader* ring;
  unsigned char* data;
  uint64_t data_size;  // Of the ring, checked; the ring's own field may be changed by others.

  // What OCP_WATCH said.
  int daemon_pid;
  int ring_fd;          // In the daemon.
  bool daemon_visible;  // daemon_pid means the daemon here, too (we are in its pid namespace).
  char token_hex[33];
  char socket_path[108];

  const char* library;  // Ourselves, as LD_PRELOAD names us. The loader's own string.
  size_t library_size;
  uintptr_t library_base;
};

extern Session session;

// In a vfork child its process number, else 0. Thread-local because parent and child share all memory.
extern constinit thread_local uint32_t vfork_process;

// The number of the process that runs this thread.
inline uint32_t CurrentProcess() { return vfork_process != 0 ? vfork_process : session.process; }

inline bool IsActive() { return session.phase.load(std::memory_order_acquire) == Phase::kActive; }

// This process records nothing more.
inline void StopRecording() { session.phase.store(Phase::kOff, std::memory_order_release); }

// A number for a process to come.
inline uint32_t TakeProcessNumber() { return session.ring->next_process.fetch_add(1, std::memory_order_relaxed); }

// False if the daemon has certainly ended (a zombie has ended, too).
bool DaemonLives();

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_SESSION_H_
