// The exec family. All of it comes down to Execute(): classify the program, tell what is about to happen, put our
// variables into its environment, and call the real execve. If that returns, it has failed, and that is told too.
//
// The functions that search PATH are made again here after glibc's execvpe (posix/execvpe.c), for libc's own would call
// its execve without passing through us. Each candidate tried is a call.
#include "preload/runtime/exec.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "preload/runtime/answer.h"
#include "preload/runtime/call.h"
#include "preload/runtime/environment.h"
#include "preload/runtime/executable.h"
#include "preload/runtime/export.h"
#include "preload/runtime/lists.h"
#include "preload/runtime/scratch.h"
#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"
#include "real_calls.h"

namespace ocpwatch {
namespace {

int CallReal(const ExecRequest& request, char* const* environment) {
  switch (request.function) {
    case FunctionId::kFexecve:
      return real.fexecve(request.dirfd, request.argv, environment);
    case FunctionId::kExecveat:
      return real.execveat(request.dirfd, request.path, request.argv, environment, request.flags);
    default:
      return real.execve(request.path, request.argv, environment);
  }
}

// Both return the errno of the exec's failure. They are functions of their own so that only who asks pays for the
// answer's room on the stack.

[[gnu::noinline]] int TellAndCall(Call& call, Behaviour behaviour, const ExecRequest& request,
                                  char* const* environment) {
  RecordBefore(call, behaviour);
  CallReal(request, environment);
  return errno;
}

[[gnu::noinline]] int AskAndCall(Call& call, const ExecRequest& request, char* const* environment) {
  Answer answer;
  RecordBefore(call, Behaviour::kSynchronous, &answer);
  EndAsAnswered(answer);
  Substitution substitution;
  ApplySubstitutes(answer, &substitution);
  CallReal(request, environment);
  const int error = errno;
  substitution.Undo();
  return error;
}

// A file that is no program is given to the shell, as execvp does.
void ExecuteByShell(const ExecRequest& request) {
  size_t count = 0;
  while (request.argv[count] != nullptr) ++count;
  const size_t slots = count > 1 ? count + 2 : 3;
  OCPWATCH_SCRATCH(scratch, slots * sizeof(char*));
  auto** const argv = static_cast<char**>(scratch.memory());
  if (argv == nullptr) return;
  argv[0] = const_cast<char*>("/bin/sh");
  argv[1] = const_cast<char*>(request.path);
  argv[2] = nullptr;
  for (size_t i = 1; i < count; ++i) argv[i + 1] = request.argv[i];
  if (count > 1) argv[count + 1] = nullptr;
  ExecRequest shell = request;
  shell.path = argv[0];
  shell.argv = argv;
  Execute(shell);
}

int ExecuteOrInterpret(const ExecRequest& request) {
  Execute(request);
  if (errno == ENOEXEC) ExecuteByShell(request);
  return -1;
}

// After the failure of a candidate: whether the next one is to be tried.
bool GoOn(int error) {
  switch (error) {
    case EACCES:
    case ENOENT:
    case ESTALE:
    case ENOTDIR:
    case ENODEV:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

}  // namespace

int Execute(const ExecRequest& request) {
  Behaviour behaviour = BehaviourFor(request.function);
  if (!IsActive() || !IsReadable(request.path) || (request.argv != nullptr && !IsReadableList(request.argv)) ||
      (request.environment != nullptr && !IsReadableList(request.environment))) {
    return CallReal(request, request.environment);
  }
  Executable target;
  Classify(request.dirfd, request.path, request.flags, &target);
  const Expected expected = {CurrentProcess(), RawGetpid(), 0};
  const TracedEnvironment environment(request.environment, expected, target.preload,
                                      target.first_library[0] != 0 ? target.first_library : nullptr);
  OCPWATCH_SCRATCH(scratch, environment.size());
  if (scratch.memory() == nullptr) return CallReal(request, request.environment);
  char** const traced = environment.Build(scratch.memory());

  Call call;
  call.function = request.function;
  call.path = request.path;
  call.fd = request.dirfd;
  call.flags = static_cast<uint32_t>(request.flags);
  // Most candidates of a search do not exist: their arguments are not worth telling, and there is nothing to ask.
  if (target.error != ENOENT && target.error != ENOTDIR) {
    call.argv = request.argv;
  } else if (behaviour == Behaviour::kSynchronous) {
    behaviour = Behaviour::kBeforeAndAfter;
  }
  call.environment = request.environment;
  call.opaque = static_cast<uint32_t>(target.opaque);
  // Of the child of a vfork nobody else knows the pid yet, and a build looks at the descriptors of whoever asks.
  if (session.ring->collect_environment != 0) call.value = expected.pid;
  const int error = behaviour == Behaviour::kSynchronous ? AskAndCall(call, request, traced)
                                                         : TellAndCall(call, behaviour, request, traced);
  call.result = -1;
  call.error = error;
  if (behaviour != Behaviour::kOff) RecordAfter(call);
  errno = error;
  return -1;
}

int ExecuteOnPath(const ExecRequest& request) {
  const char* const file = request.path;
  if (!IsReadable(file)) return Execute(request);  // EFAULT
  if (*file == 0) {
    errno = ENOENT;
    return -1;
  }
  if (*FindOrEnd(file, '/') != 0) return ExecuteOrInterpret(request);

  const char* path = getenv("PATH");
  if (path == nullptr) path = "/bin:/usr/bin";
  const size_t file_size = LengthOf(file, NAME_MAX + 1);
  const size_t path_size = LengthOf(path, PATH_MAX - 1) + 1;
  if (file_size > NAME_MAX) {
    errno = ENAMETOOLONG;
    return -1;
  }
  char candidate[PATH_MAX + NAME_MAX + 2];
  bool denied = false;
  for (const char* entry = path;;) {
    const char* const end = FindOrEnd(entry, ':');
    const size_t size = static_cast<size_t>(end - entry);
    if (size < path_size) {
      char* at = Append(candidate, entry, size);
      if (size > 0) *at++ = '/';
      Append(at, file, file_size + 1);
      ExecRequest attempt = request;
      attempt.path = candidate;
      ExecuteOrInterpret(attempt);
      if (!GoOn(errno)) return -1;
      denied = denied || errno == EACCES;
    }
    if (*end == 0) break;
    entry = end + 1;
  }
  if (denied) errno = EACCES;
  return -1;
}

}  // namespace ocpwatch

using namespace ocpwatch;

OCPWATCH_EXPORT(int, execve, (const char* path, char* const* argv, char* const* envp)) {
  return Execute({FunctionId::kExecve, AT_FDCWD, path, argv, envp, 0});
}

OCPWATCH_EXPORT(int, execv, (const char* path, char* const* argv)) {
  return Execute({FunctionId::kExecv, AT_FDCWD, path, argv, environ, 0});
}

OCPWATCH_EXPORT(int, execvp, (const char* file, char* const* argv)) {
  return ExecuteOnPath({FunctionId::kExecvp, AT_FDCWD, file, argv, environ, 0});
}

OCPWATCH_EXPORT(int, execvpe, (const char* file, char* const* argv, char* const* envp)) {
  return ExecuteOnPath({FunctionId::kExecvpe, AT_FDCWD, file, argv, envp, 0});
}

OCPWATCH_EXPORT(int, execveat, (int dirfd, const char* path, char* const* argv, char* const* envp, int flags)) {
  return Execute({FunctionId::kExecveat, dirfd, path, argv, envp, flags});
}

OCPWATCH_EXPORT(int, fexecve, (int fd, char* const* argv, char* const* envp)) {
  if (argv == nullptr || envp == nullptr || fd < 0) {  // As glibc does.
    errno = EINVAL;
    return -1;
  }
  return Execute({FunctionId::kFexecve, fd, "", argv, envp, AT_EMPTY_PATH});
}

// The variadic ones: arguments up to a null pointer, counted first and then laid out as an array.
#define OCPWATCH_COUNT_ARGUMENTS(count, first)              \
  size_t count = 1;                                         \
  {                                                         \
    va_list rest;                                           \
    va_start(rest, first);                                  \
    if (first != nullptr) {                                 \
      while (va_arg(rest, const char*) != nullptr) ++count; \
      ++count;                                              \
    }                                                       \
    va_end(rest);                                           \
  }

#define OCPWATCH_LAY_OUT_ARGUMENTS(argv, rest, first)        \
  auto** const argv = static_cast<char**>(scratch.memory()); \
  if (argv == nullptr) {                                     \
    errno = E2BIG;                                           \
    return -1;                                               \
  }                                                          \
  va_list rest;                                              \
  va_start(rest, first);                                     \
  argv[0] = const_cast<char*>(first);                        \
  for (size_t i = 0; argv[i] != nullptr; ++i) argv[i + 1] = va_arg(rest, char*)

OCPWATCH_EXPORT(int, execl, (const char* path, const char* first, ...)) {
  OCPWATCH_COUNT_ARGUMENTS(count, first)
  OCPWATCH_SCRATCH(scratch, count * sizeof(char*));
  OCPWATCH_LAY_OUT_ARGUMENTS(argv, rest, first);
  va_end(rest);
  return Execute({FunctionId::kExecl, AT_FDCWD, path, argv, environ, 0});
}

OCPWATCH_EXPORT(int, execle, (const char* path, const char* first, ...)) {
  OCPWATCH_COUNT_ARGUMENTS(count, first)
  OCPWATCH_SCRATCH(scratch, count * sizeof(char*));
  OCPWATCH_LAY_OUT_ARGUMENTS(argv, rest, first);
  char* const* const environment = va_arg(rest, char* const*);
  va_end(rest);
  return Execute({FunctionId::kExecle, AT_FDCWD, path, argv, environment, 0});
}

OCPWATCH_EXPORT(int, execlp, (const char* file, const char* first, ...)) {
  OCPWATCH_COUNT_ARGUMENTS(count, first)
  OCPWATCH_SCRATCH(scratch, count * sizeof(char*));
  OCPWATCH_LAY_OUT_ARGUMENTS(argv, rest, first);
  va_end(rest);
  return ExecuteOnPath({FunctionId::kExeclp, AT_FDCWD, file, argv, environ, 0});
}
