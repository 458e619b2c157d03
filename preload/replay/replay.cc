// ocp-watch-replay: what the preload library does before an exec, as a program.
//
// The child of a posix_spawn lives inside of libc until its exec, where nothing of ours can run. So where the daemon
// answers a spawn with more than "go on", this program is spawned in the place of the real one, with the same file
// actions, attributes and process number:
//
//   ocp-watch-replay words STATUS FD=PATH...
//       writes the file at each PATH to FD and ends with STATUS (Kill).
//   ocp-watch-replay run FD,FD...=PATH... -- PROGRAM ARGV0 ARGS...
//       opens each PATH as the descriptors before it and executes PROGRAM with the same environment (Proceed).
//
// It is no command for people; where it finds senseless arguments it ends with 127, as a child that cannot execute.
// Nothing but system calls, so that it starts fast.
#include "preload/runtime/substitution.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"
#include "preload/runtime/words.h"

namespace ocpwatch {
namespace {

constexpr int kCannotExecute = 127;

// Reads a number and returns what follows; null if there is none.
char* ReadNumber(char* text, int* number) {
  if (*text < '0' || *text > '9') return nullptr;
  int64_t value = 0;
  for (; *text >= '0' && *text <= '9'; ++text) {
    value = value * 10 + (*text - '0');
    if (value > INT32_MAX) return nullptr;
  }
  *number = static_cast<int>(value);
  return text;
}

int Words(char** arguments) {
  int status = 0;
  if (*arguments == nullptr) return kCannotExecute;
  const char* const end = ReadNumber(*arguments, &status);
  if (end == nullptr || *end != 0) return kCannotExecute;
  WordsWriter words;
  while (*++arguments != nullptr) {
    int fd = 0;
    const char* const path = ReadNumber(*arguments, &fd);
    // The library has looked whether they can be read.
    if (path == nullptr || *path != '=' || !words.Add(fd, path + 1)) return kCannotExecute;
  }
  words.WriteAndExit(status);
}

void Substitute(char* argument, Substitution* substitution) {
  int fds[kMostSubstitutes];
  size_t count = 0;
  do {
    argument = ReadNumber(argument, &fds[count++]);
  } while (argument != nullptr && *argument++ == ',' && count < kMostSubstitutes);
  if (argument != nullptr && argument[-1] == '=') substitution->Apply(argument, fds, count);
}

int Run(char** arguments, char** environment) {
  Substitution substitution;
  for (; *arguments != nullptr && !(StartsWith(*arguments, "--") && (*arguments)[2] == 0); ++arguments) {
    Substitute(*arguments, &substitution);
  }
  if (arguments[0] == nullptr || arguments[1] == nullptr) return kCannotExecute;
  RawSyscall(SYS_execve, AsWord(arguments[1]), AsWord(arguments + 2), AsWord(environment));
  return kCannotExecute;
}

}  // namespace

// `stack` as the kernel leaves it: the number of arguments, the arguments, null, the environment, null.
extern "C" [[noreturn]] __attribute__((used)) void ReplayMain(long* stack) {
  const long count = stack[0];
  auto** const arguments = reinterpret_cast<char**>(stack + 1);
  char** const environment = arguments + count + 1;
  if (count < 2) RawExit(kCannotExecute);
  RawExit(StartsWith(arguments[1], "words") ? Words(arguments + 2) : Run(arguments + 2, environment));
}

}  // namespace ocpwatch

#if defined(__x86_64__)
asm(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall ReplayMain\n");
#elif defined(__aarch64__)
asm(".globl _start\n_start:\n\tmov x29, #0\n\tmov x0, sp\n\tb ReplayMain\n");
#endif
