// `record --calls`: which behaviours of the call table a session changes.
#ifndef OCPWATCH_CLI_RECORD_OPTIONS_H_
#define OCPWATCH_CLI_RECORD_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace ocpwatch {

// Each value is "open=off", several of these with commas between them, or a file that has them, one or more a line;
// `#` begins a comment. The daemon checks names and behaviours.
absl::StatusOr<std::vector<std::string>> CallChanges(const std::vector<std::string>& values);

// The environment of a recorded command: `environment` with the preload library behind the user's own in LD_PRELOAD,
// and `watch_variable` ("OCP_WATCH=..."). `first` is a library that has to stand in front of all, if not empty. Without
// a `preload` LD_PRELOAD stays as it is.
std::vector<std::string> WatchedEnvironment(char* const* environment, const std::string& preload,
                                            const std::string& watch_variable, const std::string& first = "");

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_RECORD_OPTIONS_H_
