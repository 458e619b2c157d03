#include "preload/runtime/reply.h"

#include <cstddef>

#include "ocpwatch/v1/ring.h"
#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/wire_reader.h"

namespace ocpwatch {
namespace {

constexpr int64_t kStepNs = 100'000'000;
constexpr uint32_t kReplyKill = 3;       // Reply.kill
constexpr uint32_t kKillExitStatus = 1;  // Kill.exit_status

constexpr uint32_t Word(ReplyState state) { return static_cast<uint32_t>(state); }

// True if the reply is a Kill. Anything that is not understood means: make the call.
bool IsKill(const unsigned char* reply, uint32_t size, int* exit_status) {
  bool kill = false;
  WireReader fields(reply, size);
  while (fields.Next()) {
    if (fields.field() != kReplyKill || !fields.is_bytes()) continue;
    kill = true;
    *exit_status = 0;
    WireReader members(fields.bytes(), fields.size());
    while (members.Next()) {
      if (members.field() == kKillExitStatus) *exit_status = static_cast<int>(members.value());
    }
  }
  return kill;
}

}  // namespace

uint32_t TakeReplySlot() {
  RingHeader* const ring = session.ring;
  const uint32_t process = CurrentProcess();
  for (uint32_t i = 0; i < kReplySlots; ++i) {
    // Start at a place of our own: neighbours rarely meet.
    const uint32_t index = (process + i) % kReplySlots;
    ReplySlot& slot = ring->replies[index];
    uint32_t unused = Word(ReplyState::kUnused);
    if (slot.state.compare_exchange_strong(unused, Word(ReplyState::kWaiting), std::memory_order_acq_rel)) {
      slot.process = process;
      return index + 1;
    }
  }
  return 0;
}

void ReturnReplySlot(uint32_t slot) {
  session.ring->replies[slot - 1].state.store(Word(ReplyState::kUnused), std::memory_order_release);
}

void AwaitReply(uint32_t slot_number) {
  RingHeader* const ring = session.ring;
  ReplySlot& slot = ring->replies[slot_number - 1];
  while (slot.state.load(std::memory_order_acquire) == Word(ReplyState::kWaiting)) {
    FutexWait(&slot.state, Word(ReplyState::kWaiting), kStepNs);
    if (slot.state.load(std::memory_order_acquire) != Word(ReplyState::kWaiting)) break;
    if (ring->state.load(std::memory_order_relaxed) != static_cast<uint32_t>(RingState::kOpen) || !DaemonLives()) {
      StopRecording();
      return;
    }
  }
  unsigned char reply[kReplyBytes];
  uint32_t size = slot.size;
  if (size > sizeof reply) size = 0;
  __builtin_memcpy(reply, slot.reply, size);
  slot.state.store(Word(ReplyState::kUnused), std::memory_order_release);
  int exit_status = 0;
  if (IsKill(reply, size, &exit_status)) RawExit(exit_status);
}

}  // namespace ocpwatch
