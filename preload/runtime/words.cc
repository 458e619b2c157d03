#include "preload/runtime/words.h"

#include <poll.h>
#include <signal.h>

#include "preload/runtime/syscalls.h"

namespace ocpwatch {
namespace {

// A pipe takes this much at once or not at all (PIPE_BUF), so lines of neighbours are rarely cut.
constexpr size_t kPiece = 4096;

// The kernel's sigaction.
struct KernelAction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  unsigned long mask;
};

// A program that has just been executed has no handlers. Those that are ignored stay so.
void ForgetPipeHandler() {
  KernelAction action = {};
  const long known = RawSyscall(SYS_rt_sigaction, SIGPIPE, 0, AsWord(&action), sizeof action.mask);
  if (Failed(known) || action.handler == SIG_IGN || action.handler == SIG_DFL) return;
  action = {};
  RawSyscall(SYS_rt_sigaction, SIGPIPE, AsWord(&action), 0, sizeof action.mask);
}

bool WriteWhole(int fd, const char* data, size_t size) {
  while (size > 0) {
    const long written = RawSyscall(SYS_write, fd, AsWord(data), static_cast<long>(size));
    if (!Failed(written)) {
      data += written;
      size -= static_cast<size_t>(written);
    } else if (written == -EAGAIN) {
      pollfd wanted = {fd, POLLOUT, 0};
      RawSyscall(SYS_ppoll, AsWord(&wanted), 1, 0, 0, 0);
    } else if (written != -EINTR) {
      return false;
    }
  }
  return true;
}

bool CopyWhole(int from, int fd) {
  char piece[kPiece];
  for (;;) {
    const long size = RawRead(from, piece, sizeof piece);
    if (size == -EINTR) continue;
    if (size <= 0) return size == 0;
    if (!WriteWhole(fd, piece, static_cast<size_t>(size))) return false;
  }
}

}  // namespace

WordsWriter::~WordsWriter() {
  while (count_ > 0) RawClose(words_[--count_].file);
}

bool WordsWriter::Add(int fd, const char* path) {
  if (count_ == kMostWords) return false;
  const int file = RawOpen(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (file < 0) return false;
  words_[count_++] = {fd, file};
  return true;
}

void WordsWriter::WriteAndExit(int status) {
  if (count_ > 0) ForgetPipeHandler();
  bool whole = true;
  for (size_t i = 0; i < count_; ++i) whole = CopyWhole(words_[i].file, words_[i].fd) && whole;
  RawExit(!whole && status == 0 ? 1 : status);
}

}  // namespace ocpwatch
