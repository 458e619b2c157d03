#include "daemon/ingest/reply_writer.h"

#include "daemon/ingest/futex.h"

namespace ocpwatch {
namespace {

// Others need slots too: with so many that wait for a later answer, everybody else gets one at once.
constexpr size_t kMaxLater = kReplySlots / 2;

constexpr uint32_t kUnused = static_cast<uint32_t>(ReplyState::kUnused);
constexpr uint32_t kWaiting = static_cast<uint32_t>(ReplyState::kWaiting);

}  // namespace

ReplyWriter::ReplyWriter(IngestTarget& target) : target_(target), ring_(target.ring()) {}

bool ReplyWriter::Answer(const v1::Frame& frame) {
  const uint32_t number = frame.before().reply_slot();
  if (number == 0 || number > kReplySlots) return false;
  if (!TryAnswer(frame)) later_.push_back(frame);
  return true;
}

void ReplyWriter::AskAgain() {
  const int64_t now = MonotonicNs();
  if (later_.empty() || now - asked_ns_ < kAskAgainNs) return;
  asked_ns_ = now;
  std::erase_if(later_, [this](const v1::Frame& frame) { return TryAnswer(frame); });
}

bool ReplyWriter::TryAnswer(const v1::Frame& frame) {
  const uint32_t index = frame.before().reply_slot() - 1;
  ReplySlot& slot = ring_.header().slots[index];
  if (slot.state.load(std::memory_order_acquire) != kWaiting) return true;
  if (std::atomic_ref(slot.process).load(std::memory_order_relaxed) != frame.process()) return true;

  bool answered = false;
  const auto answer = [&](const v1::Reply& reply) {
    answered = true;
    if (reply.ByteSizeLong() <= kReplyBytes) return ring_.Answer(index, reply);
    // What does not fit a slot would never be answered; a Proceed or Kill has ten bytes.
    v1::Reply proceed;
    proceed.mutable_proceed();
    ring_.Answer(index, proceed);
  };
  const std::optional<v1::Reply> reply = target_.decider().Decide(frame, /*must=*/later_.size() >= kMaxLater, answer);
  if (!reply.has_value()) return false;
  if (!answered) answer(*reply);
  return true;
}

void ReplyWriter::ReapDead() {
  for (uint32_t i = 0; i < kReplySlots; ++i) {
    ReplySlot& slot = ring_.header().slots[i];
    uint32_t state = slot.state.load(std::memory_order_acquire);
    const uint32_t process = std::atomic_ref(slot.process).load(std::memory_order_relaxed);
    if (state == kUnused || process == 0 || target_.ProcessAlive(process)) {
      suspects_[i] = 0;
      continue;
    }
    if (suspects_[i] == process) slot.state.compare_exchange_strong(state, kUnused);
    suspects_[i] = process;
  }
}

}  // namespace ocpwatch
