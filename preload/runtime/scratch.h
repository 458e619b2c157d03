// Memory for one call: on the stack while it is little, else mapped.
//
// A vfork child that executes a program never comes back to free what it mapped in its parent's memory: the parent does
// it when vfork returns there.
#ifndef OCPWATCH_PRELOAD_RUNTIME_SCRATCH_H_
#define OCPWATCH_PRELOAD_RUNTIME_SCRATCH_H_

#include <alloca.h>

#include <cstddef>

#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"

namespace ocpwatch {

// Most environments take 2 KiB; a thread's smallest stack is 16 KiB.
inline constexpr size_t kScratchOnStack = 4096;

// The latest mapping of a vfork child that has not been freed.
struct LeftMapping {
  void* memory;
  size_t size;
};
extern constinit thread_local LeftMapping left_mapping;

class Scratch {
 public:
  // `on_stack`: memory of `size` bytes, or null if it is to be mapped. Use OCPWATCH_SCRATCH.
  Scratch(void* on_stack, size_t size) : memory_(on_stack), size_(size) {
    if (on_stack != nullptr) return;
    memory_ = RawMap(size);
    mapped_ = memory_ != nullptr;
    if (mapped_ && vfork_process != 0) {
      before_ = left_mapping;
      left_mapping = {memory_, size_};
    }
  }
  ~Scratch() {
    if (!mapped_) return;
    if (left_mapping.memory == memory_) left_mapping = before_;
    RawUnmap(memory_, size_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  void* memory() const { return memory_; }  // Null if there was none.

 private:
  void* memory_;
  size_t size_;
  bool mapped_ = false;
  LeftMapping before_ = {};
};

#define OCPWATCH_SCRATCH(name, size) \
  ::ocpwatch::Scratch name((size) <= ::ocpwatch::kScratchOnStack ? alloca(size) : nullptr, (size))

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_SCRATCH_H_
