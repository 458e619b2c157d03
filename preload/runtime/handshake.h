// Asks the daemon for the ring over intercept.sock, where /proc/<daemon>/fd leads nowhere.
//
// We send one delimited Frame with a Proc that carries the session's token; the daemon answers with a delimited Reply
// (Bitmap) and the memfd as SCM_RIGHTS. If that cannot be mapped, a Frame with Lost tells so, and the session knows
// that it is incomplete. All of it takes at most kHandshakeNs: a program must not hang because its daemon does.
#ifndef OCPWATCH_PRELOAD_RUNTIME_HANDSHAKE_H_
#define OCPWATCH_PRELOAD_RUNTIME_HANDSHAKE_H_

#include <cstdint>

namespace ocpwatch {

inline constexpr int64_t kHandshakeNs = 200'000'000;

// As MapRing(), over the socket.
bool MapRingByHandshake();

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_HANDSHAKE_H_
