// How a person says how long ago, and how much.
#ifndef OCPWATCH_CLI_UNITS_H_
#define OCPWATCH_CLI_UNITS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace ocpwatch {

// Seconds of "90s", "15m", "12h", "7d" or "2w".
absl::StatusOr<uint64_t> ParseAge(const std::string& text);

// Bytes of "1048576", "500k", "500M", "20G" or "1T", by 1024 each. Not 0, which limits mean otherwise.
absl::StatusOr<uint64_t> ParseSize(const std::string& text);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_UNITS_H_
