// Where a pipe or terminal of the pool leads, kept where the daemon's death cannot take it.
//
// The daemon forwards what commands write to descriptors that it holds. Were it killed, `a | b` would lose its middle:
// b would see the end of its input, and a build would go wrong without a word. So each entry of the pool has a keeper,
// a datagram socket of the client's that is connected to itself. When a command gets the entry, the daemon sends into
// it a KeptRoute with the descriptor that its bytes go to (SCM_RIGHTS); when nobody writes to the entry any more, it
// takes the message out again. Nobody reads it meanwhile: the kernel holds the descriptor. After the daemon's death the
// client takes the messages out, and forwards itself.
#ifndef OCPWATCH_V1_KEEPER_H_
#define OCPWATCH_V1_KEEPER_H_

#include <cstdint>

namespace ocpwatch {

struct KeptRoute {
  uint32_t stream = 0;
  uint32_t parent = 0;  // The stream that this one's bytes are a part of; 0: none.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_V1_KEEPER_H_
