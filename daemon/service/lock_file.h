// A file that one process at a time holds by flock: the lock goes with its holder, however that ends. The pid in it is
// for people.
#ifndef OCPWATCH_DAEMON_SERVICE_LOCK_FILE_H_
#define OCPWATCH_DAEMON_SERVICE_LOCK_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

// Holds the lock as long as the result is open. ALREADY_EXISTS: somebody else has it; the message is who, as in
// "watchd with pid 123". FAILED_PRECONDITION: the file cannot be made.
absl::StatusOr<UniqueFd> LockFile(const std::string& path);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_LOCK_FILE_H_
