#include "preload/runtime/reads.h"

#include "preload/runtime/session.h"

namespace ocpwatch {

constinit std::atomic<uint64_t> settled_reads[kSettledDescriptors / 64] = {};

namespace {

bool AnyReadIsTold() {
  for (const FunctionId function : kReadFunctions) {
    if (session.ring->behaviours[static_cast<size_t>(function)] != 0) return true;
  }
  return false;
}

}  // namespace

Behaviour BehaviourForRead(FunctionId function, int fd) {
  const Behaviour behaviour = BehaviourFor(function);
  if (behaviour != Behaviour::kOff) return fd < 0 && in_build_session ? Behaviour::kOff : behaviour;
  const Phase phase = session.phase.load(std::memory_order_acquire);
  if (phase == Phase::kOff || (phase == Phase::kActive && !AnyReadIsTold())) {
    for (std::atomic<uint64_t>& word : settled_reads) word.store(UINT64_MAX, std::memory_order_relaxed);
  }
  return Behaviour::kOff;
}

void SettleReads(int fd) {
  const auto number = static_cast<unsigned>(fd);
  if (!in_build_session || vfork_process != 0 || number >= kSettledDescriptors) return;
  settled_reads[number / 64].fetch_or(uint64_t{1} << number % 64, std::memory_order_relaxed);
}

void ForgetReadsNow(unsigned first, unsigned last) {
  for (unsigned word = first / 64; word < kSettledDescriptors / 64 && word <= last / 64; ++word) {
    uint64_t kept = 0;
    if (word == first / 64) kept |= (uint64_t{1} << first % 64) - 1;
    if (word == last / 64) kept |= ~(UINT64_MAX >> (63 - last % 64));
    settled_reads[word].fetch_and(kept, std::memory_order_relaxed);
  }
}

}  // namespace ocpwatch
