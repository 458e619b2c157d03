// Where libocpwatch-preload.so is.
#ifndef OCPWATCH_DAEMON_SERVICE_PRELOAD_LIBRARY_H_
#define OCPWATCH_DAEMON_SERVICE_PRELOAD_LIBRARY_H_

#include <string>

#include "absl/status/statusor.h"

namespace ocpwatch {

// `given`, if it is not empty; else beside `executable` (/proc/self/exe's target) as the build tree or an installation
// has it, wherever that was moved to; else where `cmake --install` was configured to put it. Absolute and without
// symlinks. NOT_FOUND names the places; INVALID_ARGUMENT: the path has a space or a colon, which LD_PRELOAD cannot
// carry.
absl::StatusOr<std::string> FindPreloadLibrary(const std::string& given, const std::string& executable);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_PRELOAD_LIBRARY_H_
