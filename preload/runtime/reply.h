// Waits for the daemon's answer to a synchronous call.
//
// The ring's header has kReplySlots slots. A process takes one, names it in its BeforeCall, and sleeps on it until the
// daemon has put a Reply there. Whatever goes wrong (no slot free, the daemon dies, a reply that means nothing), the
// call is made: the program must not suffer.
#ifndef OCPWATCH_PRELOAD_RUNTIME_REPLY_H_
#define OCPWATCH_PRELOAD_RUNTIME_REPLY_H_

#include <cstdint>

#include "preload/runtime/answer.h"

namespace ocpwatch {

// Takes a reply slot; returns 1 + its index, 0 if all are taken.
uint32_t TakeReplySlot();

// Gives back a slot that was never named in a frame.
void ReturnReplySlot(uint32_t slot);

// Waits for the answer in the slot that TakeReplySlot() gave, puts it into `answer` unless that is null, and gives the
// slot back. Where no answer comes, `answer` stays as it was.
void AwaitReply(uint32_t slot, Answer* answer);

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_REPLY_H_
