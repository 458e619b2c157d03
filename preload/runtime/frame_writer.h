// One frame, from its first field to the ring.
//
// Of most frames only an upper bound of the size is known before they are written, five times what they take. They are
// written on the stack first and then take exactly their room in the ring; the copy costs 5 ns, and the ring holds, and
// the processor touches, a fifth. What does not fit the stack is written straight into the ring.
#ifndef OCPWATCH_PRELOAD_RUNTIME_FRAME_WRITER_H_
#define OCPWATCH_PRELOAD_RUNTIME_FRAME_WRITER_H_

#include <cstddef>

#include "preload/runtime/frame_encoder.h"
#include "preload/runtime/ring_writer.h"

namespace ocpwatch {

class FrameWriter {
 public:
  // `bound`: what the frame may take at most. If there is no room for it, what is encoded goes nowhere.
  explicit FrameWriter(size_t bound)
      : claim_(bound > sizeof small_ ? ClaimFrame(bound) : Claim()),
        direct_(bound > sizeof small_),
        encoder_(direct_ ? claim_.frame : small_, direct_ ? claim_.capacity : sizeof small_) {}
  FrameWriter(const FrameWriter&) = delete;
  FrameWriter& operator=(const FrameWriter&) = delete;

  FrameEncoder& encoder() { return encoder_; }

  // Makes the frame visible. False if it could not be written. `awaited`: an answer is waited for.
  bool Commit(bool awaited) {
    const size_t size = encoder_.size();
    if (!direct_) {
      claim_ = ClaimFrame(size);
      if (claim_.frame != nullptr) __builtin_memcpy(claim_.frame, small_, size);
    }
    if (claim_.frame == nullptr) return false;
    CommitFrame(claim_, size, awaited);
    return true;
  }

 private:
  // Wrappers run on the smallest stacks of signal handlers.
  unsigned char small_[512];
  Claim claim_;
  const bool direct_;
  FrameEncoder encoder_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_FRAME_WRITER_H_
