// Which descriptors a command has read from.
//
// A build has to know whether a command looked at its standard input, or at another pipe or terminal that it inherited.
// Everything that reads is intercepted for that, down to getc, and one frame for each descriptor says it. So a bit for
// each descriptor says that nothing is left to be told of its reads: it is looked at before anything else, at 0.6 ns a
// call. It is set when a read has been told, when the process has opened a regular file under that number (the open
// says it), and for all of them where the session wants to know of no reads. It is cleared when the number becomes free
// or is given to something else.
//
// A vfork child works on the parent's bits: it never sets one, for what it opens is not there in the parent. A bit too
// few only costs a frame.
#ifndef OCPWATCH_PRELOAD_RUNTIME_READS_H_
#define OCPWATCH_PRELOAD_RUNTIME_READS_H_

#include <atomic>
#include <cstdint>

#include "preload/runtime/call.h"

namespace ocpwatch {

// The usual limit of descriptors. Of those above every read is told.
inline constexpr unsigned kSettledDescriptors = 1024;

extern std::atomic<uint64_t> settled_reads[kSettledDescriptors / 64] __attribute__((visibility("hidden")));

inline bool ReadsAreSettled(int fd) {
  const auto number = static_cast<unsigned>(fd);
  if (__builtin_expect(number >= kSettledDescriptors, 0)) return false;
  return (settled_reads[number / 64].load(std::memory_order_relaxed) >> number % 64 & 1) != 0;
}

// BehaviourFor() of a function that reads from `fd`, which is not settled.
Behaviour BehaviourForRead(FunctionId function, int fd);

// A read from `fd` has been told.
void SettleReads(int fd);

void ForgetReadsNow(unsigned first, unsigned last);

// The numbers are free, or mean something else from now on.
inline void ForgetReads(int first, int last) {
  if (__builtin_expect(in_build_session, 0)) ForgetReadsNow(static_cast<unsigned>(first), static_cast<unsigned>(last));
}

// `fd` has been opened and told.
inline void NoteOpened(int fd, bool regular) {
  if (__builtin_expect(!in_build_session, 1)) return;
  if (regular) {
    SettleReads(fd);
  } else {
    ForgetReads(fd, fd);
  }
}

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_READS_H_
