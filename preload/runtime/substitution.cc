#include "preload/runtime/substitution.h"

#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"

namespace ocpwatch {
namespace {

// Where the originals wait: above what shell scripts name, below the smallest usual limit.
constexpr long kAside = 128;

long Fcntl(int fd, int command, long argument = 0) { return RawSyscall(SYS_fcntl, fd, command, argument); }

// Nonblocking at first: a pipe that nobody reads any more would wait for a reader.
int OpenSubstitute(const char* path, int like) {
  const int access = StartsWith(path, "/dev/pts/") ? O_RDWR : O_WRONLY;
  const int fd = RawOpen(path, access | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fd;
  constexpr int kShared = O_APPEND | O_NONBLOCK;
  const long flags = Fcntl(like, F_GETFL);
  Fcntl(fd, F_SETFL, Failed(flags) ? 0 : flags & kShared);
  return fd;
}

}  // namespace

void Substitution::Apply(const char* path, const int* fds, size_t count) {
  const size_t first = count_;
  for (size_t i = 0; i < count; ++i) {
    const long flags = Fcntl(fds[i], F_GETFD);
    if (Failed(flags) || (flags & FD_CLOEXEC) != 0) continue;
    if (count_ == kMostSubstitutes || !Keep(fds[i])) return LetGo(first);
  }
  if (count_ == first) return;
  const int substitute = OpenSubstitute(path, kept_[first].fd);
  if (substitute < 0) return LetGo(first);
  for (size_t i = first; i < count_; ++i) RawSyscall(SYS_dup3, substitute, kept_[i].fd, 0);
  RawClose(substitute);
}

void Substitution::Undo() {
  for (size_t i = 0; i < count_; ++i) RawSyscall(SYS_dup3, kept_[i].original, kept_[i].fd, 0);
  LetGo(0);
}

bool Substitution::Keep(int fd) {
  long original = Fcntl(fd, F_DUPFD_CLOEXEC, kAside);
  if (Failed(original)) original = Fcntl(fd, F_DUPFD_CLOEXEC);  // A low limit.
  if (Failed(original)) return false;
  kept_[count_++] = {fd, static_cast<int>(original)};
  return true;
}

void Substitution::LetGo(size_t first) {
  while (count_ > first) RawClose(kept_[--count_].original);
}

}  // namespace ocpwatch
