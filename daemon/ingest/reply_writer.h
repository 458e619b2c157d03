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

#include "daemon/ingest/ingest_target.h"
#include "daemon/ingest/ring.h"

namespace ocpwatch {

class ReplyWriter {
 public:
  explicit ReplyWriter(IngestTarget& target);

  // Asks the decider about `frame`, which has a BeforeCall with reply_slot != 0, and writes the answer. Does nothing if
  // its process does not wait in that slot: it is gone. False if there is no such slot.
  bool Answer(const v1::Frame& frame);

  // Frees the slots that dead processes hold. A slot has to be seen twice, with at least one call in between, since its
  // process is written a moment after it was taken. Asks ProcessAlive for each slot in use.
  void ReapDead();

 private:
  IngestTarget& target_;
  Ring& ring_;
  std::array<uint32_t, kReplySlots> suspects_{};  // Process that held the slot, dead, at the last ReapDead.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_INGEST_REPLY_WRITER_H_
