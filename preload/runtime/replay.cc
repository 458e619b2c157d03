#include "preload/runtime/replay.h"

#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"

namespace ocpwatch {
namespace {

constexpr char kProgram[] = "ocp-watch-replay";
constexpr size_t kDecimal = 11;  // Of a descriptor, with what follows it.

}  // namespace

bool ReplayProgram(char (&path)[PATH_MAX]) {
  size_t directory = session.library_size;
  while (directory > 0 && session.library[directory - 1] != '/') --directory;
  if (directory == 0 || session.library[0] != '/' || directory + sizeof kProgram > sizeof path) return false;
  Append(Append(path, session.library, directory), kProgram, sizeof kProgram);
  return !Failed(RawSyscall(SYS_faccessat, AT_FDCWD, AsWord(path), X_OK));
}

ReplayArguments::ReplayArguments(const Answer& answer) : answer_(answer) {
  usable_ = answer.is_kill() || answer.has_items();
  AnswerItem item;
  for (size_t at = 0; usable_ && answer.NextItem(&at, &item);) {
    if (answer.is_kill() && Failed(RawSyscall(SYS_faccessat, AT_FDCWD, AsWord(item.path), R_OK))) usable_ = false;
    AddItem(item);
  }
}

void ReplayArguments::AddItem(const AnswerItem& item) {
  const size_t length = LengthOf(item.path, sizeof item.path);
  if (item.fd_count * kDecimal + length + 1 > sizeof text_ - size_) {
    usable_ = false;
    return;
  }
  char* at = text_ + size_;
  for (size_t i = 0; i < item.fd_count; ++i) {
    at = AppendDecimal(at, static_cast<uint64_t>(item.fds[i]));
    *at++ = i + 1 < item.fd_count ? ',' : '=';
  }
  at = Append(at, item.path, length + 1);
  size_ = static_cast<size_t>(at - text_);
  ++items_;
}

size_t ReplayArguments::SizeFor(char* const* argv) const {
  size_t count = 0;
  while (argv != nullptr && argv[count] != nullptr) ++count;
  constexpr size_t kOwn = 6;  // Its name, the verb, status or "--", the program, null.
  return (kOwn + items_ + count) * sizeof(char*) + kDecimal + 1;
}

char** ReplayArguments::Build(const char* program, char* const* argv, void* memory) {
  auto** const result = static_cast<char**>(memory);
  char** slot = result;
  *slot++ = const_cast<char*>(kProgram);
  *slot++ = const_cast<char*>(answer_.is_kill() ? "words" : "run");
  char** const status = slot;
  if (answer_.is_kill()) ++slot;
  char* text = text_;
  for (size_t i = 0; i < items_; ++i) {
    *slot++ = text;
    text += LengthOf(text, sizeof text_) + 1;
  }
  if (!answer_.is_kill()) {
    *slot++ = const_cast<char*>("--");
    *slot++ = const_cast<char*>(program);
    for (; argv != nullptr && *argv != nullptr; ++argv) *slot++ = *argv;
  }
  *slot++ = nullptr;
  if (answer_.is_kill()) {
    *status = reinterpret_cast<char*>(slot);
    *AppendDecimal(*status, static_cast<uint64_t>(answer_.exit_status() & 0xff)) = 0;
  }
  return result;
}

}  // namespace ocpwatch
