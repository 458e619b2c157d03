// System calls without libc: libc's own wrappers set errno, may be cancellation points, and may be somebody's
// interposer. These return what the kernel returns, -errno for a failure, and touch nothing else.
#ifndef OCPWATCH_PRELOAD_RUNTIME_SYSCALLS_H_
#define OCPWATCH_PRELOAD_RUNTIME_SYSCALLS_H_

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace ocpwatch {

inline long RawSyscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
#if defined(__x86_64__)
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
#else
#error "No system call stub for this machine."
#endif
}

template <typename T>
long AsWord(T* pointer) {
  return reinterpret_cast<long>(pointer);
}

inline bool Failed(long result) { return result < 0 && result > -4096; }

inline int RawOpen(const char* path, int flags) {
  return static_cast<int>(RawSyscall(SYS_openat, AT_FDCWD, AsWord(path), flags));
}
inline void RawClose(int fd) { RawSyscall(SYS_close, fd); }
inline long RawRead(int fd, void* to, size_t size) {
  return RawSyscall(SYS_read, fd, AsWord(to), static_cast<long>(size));
}
inline long RawPread(int fd, void* to, size_t size, uint64_t offset) {
  return RawSyscall(SYS_pread64, fd, AsWord(to), static_cast<long>(size), static_cast<long>(offset));
}
inline long RawFstat(int fd, struct stat* to) { return RawSyscall(SYS_fstat, fd, AsWord(to)); }
inline int RawGetpid() { return static_cast<int>(RawSyscall(SYS_getpid)); }
inline int RawGetppid() { return static_cast<int>(RawSyscall(SYS_getppid)); }
inline bool ProcessIsGone(int pid) { return RawSyscall(SYS_kill, pid, 0) == -ESRCH; }
[[noreturn]] inline void RawExit(int status) {
  for (;;) RawSyscall(SYS_exit_group, status);
}

// Anonymous memory, for what is too large for a stack; null if there is none.
inline void* RawMap(size_t size) {
  const long result =
      RawSyscall(SYS_mmap, 0, static_cast<long>(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  return Failed(result) ? nullptr : reinterpret_cast<void*>(result);  // NOLINT(performance-no-int-to-ptr)
}
inline void RawUnmap(void* memory, size_t size) { RawSyscall(SYS_munmap, AsWord(memory), static_cast<long>(size)); }

// Shared futexes: the word lies in a memfd that other processes map. A timeout is relative.
inline long FutexWait(std::atomic<uint32_t>* word, uint32_t expected, int64_t timeout_ns) {
  const timespec timeout = {timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
  return RawSyscall(SYS_futex, AsWord(word), FUTEX_WAIT, expected, AsWord(&timeout));
}
inline void FutexWake(std::atomic<uint32_t>* word, int waiters) {
  RawSyscall(SYS_futex, AsWord(word), FUTEX_WAKE, waiters);
}

// Whether the word at `address` can be read. The kernel copies a signal set in before it looks at a senseless `how`.
inline bool IsReadable(const void* address) {
  const uintptr_t word = reinterpret_cast<uintptr_t>(address) & ~uintptr_t{7};
  return address != nullptr && RawSyscall(SYS_rt_sigprocmask, 0x7fff, static_cast<long>(word), 0, 8) != -EFAULT;
}

// CLOCK_MONOTONIC. In the vDSO that is 27 ns, but the first use of it costs 5 µs of page faults, which most processes
// never earn back: they ask the kernel, for 150 ns.
inline int64_t NowNs() {
  constexpr uint32_t kFirstTimes = 32;
  static std::atomic<uint32_t> times{0};
  timespec now;
  const uint32_t time = times.load(std::memory_order_relaxed);
  if (time < kFirstTimes) {
    times.store(time + 1, std::memory_order_relaxed);
    RawSyscall(SYS_clock_gettime, CLOCK_MONOTONIC, AsWord(&now));
  } else {
    clock_gettime(CLOCK_MONOTONIC, &now);  // Does not touch errno.
  }
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_SYSCALLS_H_
