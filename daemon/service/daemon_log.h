// The daemon's own log (spdlog's default logger): to stderr, or to a file whose size is bounded.
#ifndef OCPWATCH_DAEMON_SERVICE_DAEMON_LOG_H_
#define OCPWATCH_DAEMON_SERVICE_DAEMON_LOG_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"

namespace ocpwatch {

// A few lines for each session: thousands of sessions fit, and nobody has to tidy up. One older file is kept.
inline constexpr size_t kMaxLogFileBytes = size_t{1} << 20;

void LogToStderr();
absl::Status LogToFile(const std::string& path);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_DAEMON_LOG_H_
