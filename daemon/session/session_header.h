// Fills in what a session's header says of the machine, the moment and the call table.
#ifndef OCPWATCH_DAEMON_SESSION_SESSION_HEADER_H_
#define OCPWATCH_DAEMON_SESSION_SESSION_HEADER_H_

#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

// Sets what is not set: times, host, kernel, version, uid; functions and ops as the call table has them, behaviours as
// it has them for the mode. A function is called what a program calls it, not what glibc's headers make of that:
// __xstat is stat, so that a name may be there more than once.
void CompleteHeader(v1::SessionHeader* header);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_SESSION_HEADER_H_
