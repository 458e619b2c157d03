// What a session did not see, in sentences for people.
#ifndef OCPWATCH_DAEMON_SESSION_TRUTH_H_
#define OCPWATCH_DAEMON_SESSION_TRUTH_H_

#include <string>
#include <vector>

#include "daemon/session/trace.h"

namespace ocpwatch {

// Why: "statically linked". Empty for OPAQUE_NONE.
std::string OpaqueReasonText(v1::OpaqueReason reason);

// A sentence each: commands that were not observed in full, by reason, and then the notes of Trace::truth. Empty if the
// session is complete. The sentences are ASCII.
std::vector<std::string> NotSeen(const Trace& trace);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_TRUTH_H_
