// Functions by which libc itself starts a shell: system, popen, wordexp. Their inner posix_spawn and environ do not
// pass through the PLT.
//
// system() is made again after glibc's (sysdeps/posix/system.c). popen and wordexp keep their state inside of libc: for
// the time of the real call `environ` is one with our variables. libc reads it in the calling thread; another thread
// that looks meanwhile sees them, too, and nothing worse.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

#include "preload/runtime/call.h"
#include "preload/runtime/environment.h"
#include "preload/runtime/executable.h"
#include "preload/runtime/export.h"
#include "preload/runtime/reads.h"
#include "preload/runtime/scratch.h"
#include "preload/runtime/session.h"
#include "preload/runtime/spawn.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"
#include "real_calls.h"

namespace ocpwatch {
namespace {

constexpr char kShell[] = "/bin/sh";

// ---- system

// The first of several threads inside of system() has SIGINT and SIGQUIT ignored, the last puts them back.
std::atomic<uint32_t> signals_lock{0};
int waiting_threads = 0;
struct sigaction old_interrupt;
struct sigaction old_quit;

void LockSignals() {
  while (signals_lock.exchange(1, std::memory_order_acquire) != 0) FutexWait(&signals_lock, 1, 1'000'000);
}

void UnlockSignals() {
  signals_lock.store(0, std::memory_order_release);
  FutexWake(&signals_lock, 1);
}

int RunShell(const char* command) {
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  LockSignals();
  if (waiting_threads++ == 0) {
    sigaction(SIGINT, &ignore, &old_interrupt);
    sigaction(SIGQUIT, &ignore, &old_quit);
  }
  sigset_t reset;
  sigemptyset(&reset);
  if (old_interrupt.sa_handler != SIG_IGN) sigaddset(&reset, SIGINT);
  if (old_quit.sa_handler != SIG_IGN) sigaddset(&reset, SIGQUIT);
  UnlockSignals();

  sigset_t child_signal, mask;
  sigemptyset(&child_signal);
  sigaddset(&child_signal, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child_signal, &mask);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &mask);
  posix_spawnattr_setsigdefault(&attributes, &reset);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  char* const argv[] = {const_cast<char*>("sh"), const_cast<char*>("-c"), const_cast<char*>(command), nullptr};
  pid_t pid = 0;
  const int error = Spawn({FunctionId::kSystem, false, kShell, nullptr, &attributes, argv, environ}, &pid);
  posix_spawnattr_destroy(&attributes);

  int status = 127 << 8;  // As if the shell had said so.
  if (error == 0) {
    pid_t ended = 0;
    do {
      ended = waitpid(pid, &status, 0);
    } while (ended == -1 && errno == EINTR);
    if (ended != pid) status = -1;
  }

  LockSignals();
  if (--waiting_threads == 0) {
    sigaction(SIGINT, &old_interrupt, nullptr);
    sigaction(SIGQUIT, &old_quit, nullptr);
  }
  UnlockSignals();
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  if (error != 0) errno = error;
  return status;
}

// ---- popen

// `environ` with our variables, while it lives.
class BorrowedEnviron {
 public:
  BorrowedEnviron(const TracedEnvironment& environment, void* memory)
      : own_(environ), traced_(environment.Build(memory)) {
    environ = traced_;
  }
  ~BorrowedEnviron() {
    if (environ == traced_) environ = own_;
  }
  BorrowedEnviron(const BorrowedEnviron&) = delete;
  BorrowedEnviron& operator=(const BorrowedEnviron&) = delete;

 private:
  char** own_;
  char** traced_;
};

// The shell behind a stream of popen's; 0 if it cannot be found out. glibc keeps it behind the FILE and its table of
// functions (struct _IO_proc_file, unchanged since 2.1); what lies there is believed only if it is a child of ours.
pid_t ShellOf(FILE* stream) {
  pid_t pid = 0;
  __builtin_memcpy(&pid, reinterpret_cast<const char*>(stream) + sizeof(FILE) + sizeof(void*), sizeof pid);
  if (pid <= 0) return 0;
  siginfo_t info;
  const long found = RawSyscall(SYS_waitid, P_PID, pid, AsWord(&info), WEXITED | WNOHANG | WNOWAIT, 0);
  return Failed(found) ? 0 : pid;
}

FILE* Popen(FILE* (*next)(const char*, const char*), const char* command, const char* mode) {
  const Behaviour behaviour = BehaviourFor(FunctionId::kPopen);
  if (!IsActive() || command == nullptr) return next(command, mode);
  Executable shell;
  Classify(AT_FDCWD, kShell, 0, &shell);
  const Expected expected = {TakeProcessNumber(), 0, RawGetpid()};
  const TracedEnvironment environment(environ, expected, shell.preload, nullptr);
  OCPWATCH_SCRATCH(scratch, environment.size());
  if (scratch.memory() == nullptr) return next(command, mode);
  const char* const argv[] = {"sh", "-c", command, nullptr};
  Call call;
  call.function = FunctionId::kPopen;
  call.path = kShell;
  call.argv = argv;
  call.environment = environ;
  call.child = expected.process;
  call.opaque = static_cast<uint32_t>(shell.opaque);
  RecordBefore(call, behaviour < Behaviour::kBeforeAndAfter ? Behaviour::kBeforeAndAfter : behaviour);
  FILE* stream = nullptr;
  {
    const BorrowedEnviron borrowed(environment, scratch.memory());
    stream = next(command, mode);
  }
  const int error = errno;
  if (stream == nullptr) {
    call.result = -1;
    call.error = error;
  } else {
    call.value = ShellOf(stream);
  }
  RecordAfter(call);
  errno = error;
  return stream;
}

// ---- wordexp

bool HasSubstitution(const char* words) {
  for (; *words != 0; ++words) {
    if (*words == '`' || (*words == '$' && words[1] == '(')) return true;
  }
  return false;
}

// Words that name one of our variables would be expanded to what is not there.
bool NamesOurVariables(const char* words) {
  for (; *words != 0; ++words) {
    if (StartsWith(words, "LD_PRELOAD") || StartsWith(words, kWatchVariable)) return true;
  }
  return false;
}

}  // namespace
}  // namespace ocpwatch

using namespace ocpwatch;

OCPWATCH_EXPORT(int, system, (const char* command)) {
  BehaviourFor(FunctionId::kSystem);
  if (!IsActive()) return real.system(command);
  if (command == nullptr) return RunShell("exit 0") == 0 ? 1 : 0;
  return RunShell(command);
}

OCPWATCH_EXPORT(FILE*, popen, (const char* command, const char* mode)) {
  BehaviourFor(FunctionId::kPopen);
  return Popen(real.popen, command, mode);
}

OCPWATCH_EXPORT(FILE*, _IO_popen, (const char* command, const char* mode)) {
  BehaviourFor(FunctionId::kPopen);
  return Popen(real._IO_popen, command, mode);
}

OCPWATCH_EXPORT(int, pclose, (FILE * stream)) {
  const Behaviour behaviour = BehaviourFor(FunctionId::kPclose);
  if (behaviour == Behaviour::kOff || stream == nullptr) return real.pclose(stream);
  Call call;
  call.function = FunctionId::kPclose;
  call.fd = fileno(stream);
  const pid_t pid = ShellOf(stream);
  RecordBefore(call, behaviour);
  const int status = real.pclose(stream);
  ForgetReads(call.fd, call.fd);
  call.result = status == -1 ? -1 : pid;
  call.error = status == -1 ? errno : 0;
  call.value = status;
  RecordAfter(call);
  return status;
}

OCPWATCH_EXPORT(int, wordexp, (const char* words, wordexp_t* result, int flags)) {
  const Behaviour behaviour = BehaviourFor(FunctionId::kWordexp);
  if (!IsActive() || words == nullptr) return real.wordexp(words, result, flags);
  int status = 0;
  const bool runs_shells = HasSubstitution(words) && (flags & WRDE_NOCMD) == 0;
  const bool unseen = runs_shells && NamesOurVariables(words);
  if (runs_shells && !unseen) {
    // Each substitution is a shell of its own, and all of them find the same variables: to the session they are
    // children of a process that it has not seen.
    Executable shell;
    Classify(AT_FDCWD, kShell, 0, &shell);
    const Expected expected = {CurrentProcess(), RawGetpid(), 0};
    const TracedEnvironment environment(environ, expected, shell.preload, nullptr);
    OCPWATCH_SCRATCH(scratch, environment.size());
    if (scratch.memory() == nullptr) return real.wordexp(words, result, flags);
    const BorrowedEnviron borrowed(environment, scratch.memory());
    status = real.wordexp(words, result, flags);
  } else {
    status = real.wordexp(words, result, flags);
  }
  if (behaviour != Behaviour::kOff) {
    Call call;
    call.function = FunctionId::kWordexp;
    call.result = status == 0 ? 0 : -1;
    if (unseen) call.opaque = static_cast<uint32_t>(Opaque::kCloned);
    RecordAfter(call);
  }
  return status;
}
