// Puts frames into the session's ring; ring.h says how the ring works.
//
// Any thread, signal handler or process may write at any time. Claim() takes a span, the caller writes the frame into
// it, Commit() makes it visible. A writer that is interrupted or killed in between harms nobody.
#ifndef OCPWATCH_PRELOAD_RUNTIME_RING_WRITER_H_
#define OCPWATCH_PRELOAD_RUNTIME_RING_WRITER_H_

#include <cstddef>
#include <cstdint>

namespace ocpwatch {

struct Claim {
  unsigned char* frame = nullptr;  // Null: nothing was claimed, the frame is not to be written.
  size_t capacity = 0;
  uint64_t position = 0;
  uint64_t busy_word = 0;
};

// Takes room for a frame of at most `capacity` bytes (no more than kMaxFrame). Waits for room while the daemon lives,
// at most kStallBoundNs without any progress of the reader; then the whole session is abandoned.
Claim ClaimFrame(size_t capacity);

// The frame is complete, of `size` bytes. `awaited`: the reader is woken, for an answer is waited for.
void CommitFrame(const Claim& claim, size_t size, bool awaited);

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_RING_WRITER_H_
