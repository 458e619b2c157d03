// How a person says how long ago.
#ifndef OCPWATCH_CLI_RM_OPTIONS_H_
#define OCPWATCH_CLI_RM_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace ocpwatch {

// Seconds of "90s", "15m", "12h", "7d" or "2w".
absl::StatusOr<uint64_t> ParseAge(const std::string& text);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_RM_OPTIONS_H_
