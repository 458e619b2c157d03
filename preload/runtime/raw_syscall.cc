// syscall(): numbers that the call table knows go to that function's wrapper, exec and fork to ours, a few more are
// told as they are. Everything else goes straight to the kernel.
//
// The exported function is in raw_syscall_*.S: a vfork or a clone with a stack of its own returns twice, and must find
// no frame of ours.
#include <linux/openat2.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>

#include "preload/gencalls/wrapper_support.h"
#include "preload/runtime/call.h"
#include "preload/runtime/exec.h"
#include "preload/runtime/exit.h"
#include "preload/runtime/export.h"
#include "preload/runtime/fork.h"
#include "preload/runtime/opaque.h"
#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"
#include "real_calls.h"

namespace ocpwatch {
namespace {

long Return(long result) {
  if (!Failed(result)) return result;
  errno = static_cast<int>(-result);
  return -1;
}

// Makes the call and tells it, with whatever the caller has filled in.
long Tell(Call& call, long number, const long* arguments) {
  const long result =
      RawSyscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
  call.result = Failed(result) ? -1 : result;
  call.error = Failed(result) ? static_cast<int>(-result) : 0;
  RecordAfter(call);
  return Return(result);
}

long TellRaw(long number, const long* arguments, Opaque opaque) {
  Call call;
  call.function = FunctionId::kSyscall;
  call.value = number;
  call.opaque = static_cast<uint32_t>(opaque);
  return Tell(call, number, arguments);
}

long TellOpenat2(const long* arguments) {
  const auto* how = reinterpret_cast<const open_how*>(arguments[2]);
  Call call;
  call.function = FunctionId::kOpenat;
  call.fd = static_cast<int>(arguments[0]);
  call.path = reinterpret_cast<const char*>(arguments[1]);
  const Behaviour behaviour = BehaviourFor(FunctionId::kOpenat);
  if (behaviour > Behaviour::kAfter && IsReadable(how)) {
    call.flags = static_cast<uint32_t>(how->flags);
    RecordBefore(call, OnlyToWrite(behaviour, call.flags));
  }
  const long result = RawSyscall(SYS_openat2, arguments[0], arguments[1], arguments[2], arguments[3]);
  // The kernel could read it, if it says anything but these.
  if (result != -EFAULT && result != -EINVAL && result != -E2BIG) {
    call.flags = static_cast<uint32_t>(how->flags);
    call.mode = static_cast<uint32_t>(how->mode);
  }
  call.result = Failed(result) ? -1 : result;
  call.error = Failed(result) ? static_cast<int>(-result) : 0;
  if (!Failed(result) && (call.flags & O_ACCMODE) != O_WRONLY) call.stat_fd = static_cast<int>(result);
  RecordAfter(call);
  return Return(result);
}

pid_t ForkByKernel() { return static_cast<pid_t>(Return(RawSyscall(SYS_fork))); }

long Dispatch(long number, const long* arguments) {
  switch (number) {
#include "raw_syscalls.inc"
    case SYS_execve:
      return Execute({FunctionId::kExecve, AT_FDCWD, reinterpret_cast<const char*>(arguments[0]),
                      reinterpret_cast<char* const*>(arguments[1]), reinterpret_cast<char* const*>(arguments[2]), 0});
    case SYS_execveat:
      return Execute({FunctionId::kExecveat, static_cast<int>(arguments[0]),
                      reinterpret_cast<const char*>(arguments[1]), reinterpret_cast<char* const*>(arguments[2]),
                      reinterpret_cast<char* const*>(arguments[3]), static_cast<int>(arguments[4])});
    case SYS_fcntl:
      return fcntl(static_cast<int>(arguments[0]), static_cast<int>(arguments[1]), arguments[2]);
    case SYS_openat2:
      return TellOpenat2(arguments);
#ifdef SYS_fork
    case SYS_fork:
      return Fork(FunctionId::kUnderFork, ForkByKernel);
#endif
    case SYS_exit_group:
      TellExit(FunctionId::kUnderExit, static_cast<int>(arguments[0]));
      break;
    case SYS_io_uring_setup:
      return TellRaw(number, arguments, Opaque::kIoUring);
    case SYS_open_by_handle_at:
    case SYS_mount:
    case SYS_umount2:
    case SYS_pivot_root:
    case SYS_move_mount:
    case SYS_open_tree:
    case SYS_pidfd_getfd:
      return TellRaw(number, arguments, Opaque::kRawSyscall);
    default:
      break;
  }
  return Return(RawSyscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]));
}

}  // namespace
}  // namespace ocpwatch

using namespace ocpwatch;

// All system calls but those that make processes which need the caller's own stack.
extern "C" long ocpwatch_syscall(long number, long a, long b, long c, long d, long e, long f) {
  const long arguments[6] = {a, b, c, d, e, f};
  if (BehaviourFor(FunctionId::kSyscall) == Behaviour::kOff) return Return(RawSyscall(number, a, b, c, d, e, f));
  return Dispatch(number, arguments);
}

// clone, clone3 and vfork by number: what the child does cannot be told from the parent's doing. Threads are nothing
// new.
extern "C" void* ocpwatch_before_clone(long number, long first) {
  if (BehaviourFor(FunctionId::kSyscall) != Behaviour::kOff) {
    bool thread = false;
    if (number == SYS_clone) thread = (first & CLONE_THREAD) != 0;
    if (number == SYS_clone3 && IsReadable(reinterpret_cast<const void*>(first))) {
      thread = (*reinterpret_cast<const uint64_t*>(first) & CLONE_THREAD) != 0;
    }
    if (!thread) {
      Call call;
      call.function = FunctionId::kSyscall;
      call.value = number;
      call.opaque = static_cast<uint32_t>(Opaque::kCloned);
      RecordAfter(call);
    }
  }
  return reinterpret_cast<void*>(real.syscall);
}

#if !defined(__x86_64__)
OCPWATCH_EXPORT(long, syscall, (long number, long a, long b, long c, long d, long e, long f)) {
  if (number != SYS_clone && number != SYS_clone3) return ocpwatch_syscall(number, a, b, c, d, e, f);
  ocpwatch_before_clone(number, a);
  return real.syscall(number, a, b, c, d, e, f);  // A tail call.
}
#endif
