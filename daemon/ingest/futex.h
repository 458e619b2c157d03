// The futex calls, on memory shared between processes.
#ifndef OCPWATCH_DAEMON_INGEST_FUTEX_H_
#define OCPWATCH_DAEMON_INGEST_FUTEX_H_

#include <atomic>
#include <cstdint>

namespace ocpwatch {

// Waits while `word` is `expected`, at most `timeout_ns` (< 0: for ever). May return early.
void FutexWait(std::atomic<uint32_t>& word, uint32_t expected, int64_t timeout_ns);

// Wakes everybody who waits at `word`.
void FutexWakeAll(std::atomic<uint32_t>& word);

// CLOCK_MONOTONIC.
int64_t MonotonicNs();

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_INGEST_FUTEX_H_
