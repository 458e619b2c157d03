// Finds and maps the session's ring.
//
// The daemon holds the ring as a memfd; /proc/<daemon>/fd/<n> opens it, and the descriptor is closed as soon as the
// memory is mapped, so the program's descriptors are what they would be. Where that path leads nowhere (another root or
// pid namespace) the daemon is asked over intercept.sock to pass the descriptor, see handshake.h.
#ifndef OCPWATCH_PRELOAD_RUNTIME_RING_MAPPING_H_
#define OCPWATCH_PRELOAD_RUNTIME_RING_MAPPING_H_

namespace ocpwatch {

// Maps the ring that `session` names and fills in session.ring, data and data_size. False if it cannot be had.
bool MapRing();

// Maps and checks the ring behind `fd`, which stays open.
bool MapRingOf(int fd);

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_RING_MAPPING_H_
