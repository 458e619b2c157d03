#include "preload/runtime/spawn.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "preload/runtime/answer.h"
#include "preload/runtime/environment.h"
#include "preload/runtime/executable.h"
#include "preload/runtime/export.h"
#include "preload/runtime/lists.h"
#include "preload/runtime/replay.h"
#include "preload/runtime/scratch.h"
#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"
#include "real_calls.h"

namespace ocpwatch {
namespace {

int CallReal(const SpawnRequest& request, pid_t* pid, char* const* environment) {
  return (request.search ? real.posix_spawnp : real.posix_spawn)(pid, request.file, request.actions, request.attributes,
                                                                 request.argv, environment);
}

bool MayExecute(const char* path) { return !Failed(RawSyscall(SYS_faccessat, AT_FDCWD, AsWord(path), X_OK)); }

// Spawns what the answer asks for in place of the program, with the same file actions and attributes. False if that
// cannot be: then the program itself is to be spawned, which is always right.
bool SpawnReplay(const SpawnRequest& request, const Answer& answer, const char* path, pid_t* pid,
                 char* const* environment) {
  ReplayArguments arguments(answer);
  char program[PATH_MAX];
  if (!arguments.usable() || !ReplayProgram(program)) return false;
  OCPWATCH_SCRATCH(scratch, arguments.SizeFor(request.argv));
  if (scratch.memory() == nullptr) return false;
  return real.posix_spawn(pid, program, request.actions, request.attributes,
                          arguments.Build(path, request.argv, scratch.memory()), environment) == 0;
}

[[gnu::noinline]] int AskAndCall(Call& call, const SpawnRequest& request, bool replaceable, pid_t* pid,
                                 char* const* environment) {
  Answer answer;
  RecordBefore(call, Behaviour::kSynchronous, &answer);
  const bool replayed = answer.is_kill() || (answer.has_items() && replaceable && MayExecute(call.path));
  if (replayed && SpawnReplay(request, answer, call.path, pid, environment)) return 0;
  return CallReal(request, pid, environment);
}

[[gnu::noinline]] int TellAndCall(Call& call, Behaviour behaviour, const SpawnRequest& request, pid_t* pid,
                                  char* const* environment) {
  RecordBefore(call, behaviour);
  return CallReal(request, pid, environment);
}

void TellMissing(const char* path, int error) {
  if (BehaviourFor(FunctionId::kExecve) == Behaviour::kOff) return;
  Call call;
  call.function = FunctionId::kExecve;
  call.path = path;
  call.result = -1;
  call.error = error;
  RecordAfter(call);
}

// Finds the file that posix_spawnp will execute, and tells those that it will not find on the way. False if there is
// none.
bool Search(const char* file, char (&found)[PATH_MAX + NAME_MAX + 2]) {
  const char* path = getenv("PATH");
  if (path == nullptr) path = "/bin:/usr/bin";
  const size_t file_size = LengthOf(file, NAME_MAX + 1);
  if (file_size > NAME_MAX) return false;
  for (const char* entry = path;;) {
    const char* const end = FindOrEnd(entry, ':');
    const size_t size = static_cast<size_t>(end - entry);
    if (size < PATH_MAX) {
      char* at = Append(found, entry, size);
      if (size > 0) *at++ = '/';
      Append(at, file, file_size + 1);
      const long result = RawSyscall(SYS_faccessat, AT_FDCWD, AsWord(found), X_OK);
      if (!Failed(result)) {
        struct stat status;
        const long known = RawSyscall(SYS_newfstatat, AT_FDCWD, AsWord(found), AsWord(&status), 0);
        if (Failed(known) || !S_ISDIR(status.st_mode)) return true;
      }
      TellMissing(found, Failed(result) ? static_cast<int>(-result) : EACCES);
    }
    if (*end == 0) return false;
    entry = end + 1;
  }
}

}  // namespace

int Spawn(const SpawnRequest& request, pid_t* pid) {
  const Behaviour behaviour = BehaviourFor(request.function);
  if (!IsActive() || !IsReadable(request.file) || (request.argv != nullptr && !IsReadableList(request.argv)) ||
      (request.environment != nullptr && !IsReadableList(request.environment))) {
    return CallReal(request, pid, request.environment);
  }
  // The real posix_spawnp searches again: only it knows what the file actions do to the working directory.
  char found[PATH_MAX + NAME_MAX + 2];
  const bool searched = request.search && *FindOrEnd(request.file, '/') == 0 && *request.file != 0;
  const char* const path = searched && Search(request.file, found) ? found : request.file;
  Executable target;
  Classify(AT_FDCWD, path, 0, &target);
  const Expected expected = {TakeProcessNumber(), 0, RawGetpid()};
  const TracedEnvironment environment(request.environment, expected, target.preload,
                                      target.first_library[0] != 0 ? target.first_library : nullptr);
  OCPWATCH_SCRATCH(scratch, environment.size());
  if (scratch.memory() == nullptr) return CallReal(request, pid, request.environment);

  Call call;
  call.function = request.function;
  call.path = path;
  call.argv = request.argv;
  call.environment = request.environment;
  call.child = expected.process;
  call.object = reinterpret_cast<uint64_t>(request.actions);
  call.opaque = static_cast<uint32_t>(target.opaque);
  pid_t own = 0;
  if (pid == nullptr) pid = &own;
  char** const traced = environment.Build(scratch.memory());
  // What does not exist is not asked for. What is found relative to a directory of PATH may be another file once the
  // file actions are done, and what the kernel may refuse must be refused to the caller.
  const bool replaceable = target.executable && (!searched || path[0] == '/');
  const int error = behaviour == Behaviour::kSynchronous && target.error == 0
                        ? AskAndCall(call, request, replaceable, pid, traced)
                        : TellAndCall(call, Behaviour::kBeforeAndAfter, request, pid, traced);
  call.result = error == 0 ? 0 : -1;
  call.error = error;
  if (error == 0) call.value = *pid;
  RecordAfter(call);
  return error;
}

}  // namespace ocpwatch

using namespace ocpwatch;

OCPWATCH_EXPORT(int, posix_spawn,
                (pid_t * pid, const char* path, const posix_spawn_file_actions_t* actions,
                 const posix_spawnattr_t* attributes, char* const* argv, char* const* envp)) {
  return Spawn({FunctionId::kPosixSpawn, false, path, actions, attributes, argv, envp}, pid);
}

OCPWATCH_EXPORT(int, posix_spawnp,
                (pid_t * pid, const char* file, const posix_spawn_file_actions_t* actions,
                 const posix_spawnattr_t* attributes, char* const* argv, char* const* envp)) {
  return Spawn({FunctionId::kPosixSpawnp, true, file, actions, attributes, argv, envp}, pid);
}
