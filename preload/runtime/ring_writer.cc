#include "preload/runtime/ring_writer.h"

#include "ocpwatch/v1/ring.h"
#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"

namespace ocpwatch {
namespace {

// How long to sleep before looking again whether the daemon lives.
constexpr int64_t kStepNs = 100'000'000;
// Indices that contradict each other are out of date, once or twice in a row; this often they are garbage.
constexpr int kMaxContradictions = 1000;

std::atomic<uint64_t>* WordAt(uint64_t position) {
  return reinterpret_cast<std::atomic<uint64_t>*>(session.data + (position & (session.data_size - 1)));
}

void RingDoorbell(RingHeader* ring) {
  const auto before = static_cast<ReaderState>(
      ring->reader.exchange(static_cast<uint32_t>(ReaderState::kAwake), std::memory_order_seq_cst));
  if (before != ReaderState::kAwake) FutexWake(&ring->reader, 1);
}

void Abandon(RingHeader* ring) {
  auto open = static_cast<uint32_t>(RingState::kOpen);
  ring->state.compare_exchange_strong(open, static_cast<uint32_t>(RingState::kAbandoned));
  ring->lost_frames.fetch_add(1, std::memory_order_relaxed);
  StopRecording();
}

// Waits until the reader may have made room for a record that ends at `end`. False: recording is over.
class RoomWait {
 public:
  bool Wait(RingHeader* ring, uint64_t end) {
    const uint64_t tail = ring->tail.load(std::memory_order_acquire);
    const int64_t now = NowNs();
    if (since_ == 0 || tail != last_tail_) {
      since_ = now;
      last_tail_ = tail;
    } else if (now - since_ > kStallBoundNs || !DaemonLives()) {
      Abandon(ring);
      return false;
    }
    ring->waiting_for_room.fetch_add(1, std::memory_order_seq_cst);
    const uint32_t room = ring->room.load(std::memory_order_seq_cst);
    if (end - ring->tail.load(std::memory_order_seq_cst) > session.data_size) {
      RingDoorbell(ring);
      FutexWait(&ring->room, room, kStepNs);
    }
    ring->waiting_for_room.fetch_sub(1, std::memory_order_relaxed);
    return true;
  }

 private:
  int64_t since_ = 0;
  uint64_t last_tail_ = 0;
};

}  // namespace

Claim ClaimFrame(size_t capacity) {
  if (capacity > kMaxFrame) capacity = kMaxFrame;
  RingHeader* const ring = session.ring;
  const uint64_t size = session.data_size;
  const uint64_t span = SpanForFrame(capacity);
  if (span * 8 > size) return {};
  RoomWait room;
  int contradictions = 0;
  for (;;) {
    if (ring->state.load(std::memory_order_relaxed) != static_cast<uint32_t>(RingState::kOpen)) {
      StopRecording();
      return {};
    }
    // The order of these loads matters: if tail has passed this place of the lap before, then the word that is read
    // after it belongs to this lap.
    uint64_t head = ring->head.load(std::memory_order_acquire);
    const uint64_t tail = ring->tail.load(std::memory_order_acquire);
    if (head % 8 != 0) {  // A word there could reach beyond our mapping.
      Abandon(ring);
      return {};
    }
    uint64_t word = WordAt(head)->load(std::memory_order_acquire);
    if (tail > head) {  // head is long out of date.
      if (++contradictions < kMaxContradictions) continue;
      Abandon(ring);
      return {};
    }
    if (head - tail >= size) {
      if (!room.Wait(ring, head + 8)) return {};
      continue;
    }
    const uint64_t to_end = size - (head & (size - 1));
    if (word != FreeWord(head, size)) {
      // Somebody has taken it and may have died before moving head.
      const uint64_t taken = SpanOf(word) * 8;
      if (StateOf(word) == WordState::kFree || taken == 0 || taken > to_end) {
        // Either head has moved since, or the ring is spoilt; a spoilt one is not looked at forever.
        if (ring->head.load(std::memory_order_acquire) == head &&
            WordAt(head)->load(std::memory_order_acquire) == word) {
          Abandon(ring);
          return {};
        }
        continue;
      }
      ring->head.compare_exchange_strong(head, head + taken, std::memory_order_acq_rel);
      continue;
    }
    const bool fits = span * 8 <= to_end;
    const uint64_t taken = fits ? span * 8 : to_end;
    if (head + taken - tail > size) {
      if (!room.Wait(ring, head + taken)) return {};
      continue;
    }
    const uint64_t mine =
        fits ? MakeWord(WordState::kBusy, span, CurrentProcess()) : MakeWord(WordState::kSkip, to_end / 8, 0);
    if (!WordAt(head)->compare_exchange_strong(word, mine, std::memory_order_acq_rel)) continue;
    uint64_t expected = head;
    ring->head.compare_exchange_strong(expected, head + taken, std::memory_order_acq_rel);
    if (!fits) continue;
    return {reinterpret_cast<unsigned char*>(WordAt(head)) + 8, capacity, head, mine};
  }
}

void CommitFrame(const Claim& claim, size_t size, bool awaited) {
  RingHeader* const ring = session.ring;
  uint64_t expected = claim.busy_word;
  if (!WordAt(claim.position)
           ->compare_exchange_strong(expected, MakeWord(WordState::kDone, SpanOf(claim.busy_word), size),
                                     std::memory_order_seq_cst)) {
    ring->lost_frames.fetch_add(1, std::memory_order_relaxed);  // The reader took us for dead.
    return;
  }
  switch (static_cast<ReaderState>(ring->reader.load(std::memory_order_seq_cst))) {
    case ReaderState::kAwake:
      break;
    case ReaderState::kPolling:
      if (!awaited && ring->head.load(std::memory_order_relaxed) - ring->tail.load(std::memory_order_relaxed) <
                          session.data_size / 2) {
        break;
      }
      [[fallthrough]];
    case ReaderState::kAsleep:
      RingDoorbell(ring);
      break;
  }
}

}  // namespace ocpwatch
