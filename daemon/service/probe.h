// Whether a thread that serves a Unix socket does its work: it accepts a connection, notices that we have nothing to
// say, and closes it.
#ifndef OCPWATCH_DAEMON_SERVICE_PROBE_H_
#define OCPWATCH_DAEMON_SERVICE_PROBE_H_

#include <chrono>
#include <string>

namespace ocpwatch {

bool AnswersOnSocket(const std::string& path, std::chrono::milliseconds timeout);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_PROBE_H_
