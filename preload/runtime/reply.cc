#include "preload/runtime/reply.h"

#include "ocpwatch/v1/ring.h"
#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"

namespace ocpwatch {
namespace {

constexpr int64_t kStepNs = 100'000'000;

constexpr uint32_t Word(ReplyState state) { return static_cast<uint32_t>(state); }

}  // namespace

uint32_t TakeReplySlot() {
  RingHeader* const ring = session.ring;
  const uint32_t process = CurrentProcess();
  for (uint32_t i = 0; i < kReplySlots; ++i) {
    // Start at a place of our own: neighbours rarely meet.
    const uint32_t index = (process + i) % kReplySlots;
    ReplySlot& slot = ring->slots[index];
    uint32_t unused = Word(ReplyState::kUnused);
    if (slot.state.compare_exchange_strong(unused, Word(ReplyState::kWaiting), std::memory_order_acq_rel)) {
      slot.process = process;
      return index + 1;
    }
  }
  return 0;
}

void ReturnReplySlot(uint32_t slot) {
  session.ring->slots[slot - 1].state.store(Word(ReplyState::kUnused), std::memory_order_release);
}

void AwaitReply(uint32_t slot_number, Answer* answer) {
  RingHeader* const ring = session.ring;
  ReplySlot& slot = ring->slots[slot_number - 1];
  while (slot.state.load(std::memory_order_acquire) == Word(ReplyState::kWaiting)) {
    FutexWait(&slot.state, Word(ReplyState::kWaiting), kStepNs);
    if (slot.state.load(std::memory_order_acquire) != Word(ReplyState::kWaiting)) break;
    if (ring->state.load(std::memory_order_relaxed) != static_cast<uint32_t>(RingState::kOpen) || !DaemonLives()) {
      StopRecording();
      return;
    }
  }
  if (answer != nullptr) answer->Read(ring->replies[slot_number - 1], slot.size);
  slot.state.store(Word(ReplyState::kUnused), std::memory_order_release);
}

}  // namespace ocpwatch
