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
  if (count == 0) return;
  const int substitute = OpenSubstitute(path, fds[0]);
  if (substitute < 0) return;
  for (size_t i = 0; i < count && count_ < kMostSubstitutes; ++i) {
    const int fd = fds[i];
    const long flags = Fcntl(fd, F_GETFD);
    if (Failed(flags) || (flags & FD_CLOEXEC) != 0) continue;
    long original = Fcntl(fd, F_DUPFD_CLOEXEC, kAside);
    if (Failed(original)) original = Fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (Failed(original)) continue;
    RawSyscall(SYS_dup3, substitute, fd, 0);
    kept_[count_++] = {fd, static_cast<int>(original)};
  }
  RawClose(substitute);
}

void Substitution::Undo() {
  while (count_ > 0) {
    const Kept& kept = kept_[--count_];
    RawSyscall(SYS_dup3, kept.original, kept.fd, 0);
    RawClose(kept.original);
  }
}

}  // namespace ocpwatch
