// Writes the answer to a synchronous call into the reply slot of the ring in which its process waits.
//
// A slot belongs to its process from kUnused -> kWaiting until that process sets it back to kUnused; in between the
// daemon may only go from kWaiting to kAnswered. A process that died in between would keep its slot for ever: ReapDead
// takes it back.
//
// One thread at a time.
#ifndef OCPWATCH_DAEMON_INGEST_REPLY_WRITER_H_
#define OCPWATCH_DAEMON_INGEST_REPLY_WRITER_H_

#include <array>
#include <cstdint>
#include <vector>

#include "daemon/ingest/ingest_target.h"
#include "daemon/ingest/ring.h"

namespace ocpwatch {

// How long who waits for an answer that is not to be had yet goes on waiting for nothing, at most.
inline constexpr int64_t kAskAgainNs = 2'000'000;

class ReplyWriter {
 public:
  explicit ReplyWriter(IngestTarget& target);

  // Asks the decider about `frame`, which has a BeforeCall with reply_slot != 0, and writes the answer. Does nothing if
  // its process does not wait in that slot: it is gone. False if there is no such slot.
  // Where the decider has no answer yet, AskAgain asks for it.
  bool Answer(const v1::Frame& frame);

  // Asks again for answers that are still to come, if that is kAskAgainNs ago.
  void AskAgain();
  bool anybody_waits() const { return !later_.empty(); }

  // Frees the slots that dead processes hold. A slot has to be seen twice, with at least one call in between, since its
  // process is written a moment after it was taken. Asks ProcessAlive for each slot in use.
  void ReapDead();

 private:
  // False: there is no answer yet.
  bool TryAnswer(const v1::Frame& frame);

  IngestTarget& target_;
  Ring& ring_;
  std::vector<v1::Frame> later_;  // To be asked about again.
  int64_t asked_ns_ = 0;
  std::array<uint32_t, kReplySlots> suspects_{};  // Process that held the slot, dead, at the last ReapDead.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_INGEST_REPLY_WRITER_H_
