// The thread that reads a session's ring from the session's start to its end.
#ifndef OCPWATCH_DAEMON_INGEST_RING_LOOP_H_
#define OCPWATCH_DAEMON_INGEST_RING_LOOP_H_

#include <atomic>
#include <cstdint>
#include <thread>

#include "daemon/ingest/ring_reader.h"

namespace ocpwatch {

class RingLoop {
 public:
  // Starts the thread. `target` and its ring must outlive the loop.
  explicit RingLoop(IngestTarget& target);
  // As Stop.
  ~RingLoop();
  RingLoop(const RingLoop&) = delete;
  RingLoop& operator=(const RingLoop&) = delete;

  // Returns when everything that stood in the ring at the call has been delivered; false if that took longer than
  // `timeout_ns`, because a writer has not finished its record, say. Not with the target's mutex held. Any thread.
  bool Flush(int64_t timeout_ns);

  // Closes the ring, delivers what stands in it and ends the thread. Waits for an unfinished record of a living process
  // for kBusyGraceNs, no longer. May be called more than once, by one thread at a time.
  void Stop();

  uint64_t frames() const { return reader_.frames(); }

 private:
  void Run();

  Ring& ring_;
  RingReader reader_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_INGEST_RING_LOOP_H_
