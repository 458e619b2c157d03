#include "daemon/ingest/ring_loop.h"

#include <time.h>

#include "daemon/ingest/futex.h"

namespace ocpwatch {
namespace {

// For so many frames the target's mutex is held: a millisecond at the slowest sink that keeps up.
constexpr size_t kBatch = 1024;
constexpr int64_t kReapIntervalNs = 1'000'000'000;
// Stop reads on while others write, but not for ever: a million frames.
constexpr int kMaxLastBatches = 1024;

}  // namespace

RingLoop::RingLoop(IngestTarget& target) : ring_(target.ring()), reader_(target), thread_([this] { Run(); }) {}

RingLoop::~RingLoop() { Stop(); }

void RingLoop::Run() {
  int64_t reaped_ns = MonotonicNs();
  while (!stop_.load(std::memory_order_seq_cst)) {
    if (reader_.Drain(kBatch) > 0 || reader_.Idle()) continue;
    const int64_t now = MonotonicNs();
    if (now - reaped_ns >= kReapIntervalNs) {
      reader_.ReapReplySlots();
      reaped_ns = now;
    }
    reader_.WaitForWork(-1);
  }
  reader_.Hurry();
  for (int i = 0; i < kMaxLastBatches; ++i) {
    const uint64_t ends = reader_.ends_seen();
    if (reader_.Drain(kBatch) > 0) continue;
    if (reader_.ends_seen() != ends) break;
    reader_.WaitForWork(kPollIntervalNs);  // An unfinished record.
  }
}

bool RingLoop::Flush(int64_t timeout_ns) {
  const int64_t deadline = MonotonicNs() + timeout_ns;
  const uint64_t head = ring_.header().head.load(std::memory_order_seq_cst);
  // The Drain that runs now may have passed the end before the call; the one after it cannot have.
  const uint64_t ends = reader_.ends_seen() + 2;
  while (reader_.position() < head && reader_.ends_seen() < ends) {
    if (MonotonicNs() >= deadline) return false;
    reader_.Interrupt();
    constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 50'000};
    nanosleep(&kPause, nullptr);
  }
  return true;
}

void RingLoop::Stop() {
  if (!thread_.joinable()) return;
  ring_.Close();
  stop_.store(true, std::memory_order_seq_cst);
  reader_.Interrupt();
  thread_.join();
}

}  // namespace ocpwatch
