// A session as the service tells of it, from its row in the index.
#ifndef OCPWATCH_DAEMON_SERVICE_SESSION_ROW_H_
#define OCPWATCH_DAEMON_SERVICE_SESSION_ROW_H_

#include "ocpwatch/v1/monitor.pb.h"
#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

v1::Session SessionRow(const v1::SessionRecord& record);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_SESSION_ROW_H_
