// A file that is only appended to: the seam between the log writer and the disk, so that tests can make a disk fail.
#ifndef OCPWATCH_DAEMON_SESSION_APPEND_FILE_H_
#define OCPWATCH_DAEMON_SESSION_APPEND_FILE_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ocpwatch {

class AppendFile {
 public:
  virtual ~AppendFile() = default;
  // All of `bytes`, or an error that names the cause. After an error a part of them may be in the file.
  virtual absl::Status Append(std::string_view bytes) = 0;
  // Cuts the file back to `size` bytes: what a failed Append left is taken away.
  virtual absl::Status Truncate(uint64_t size) = 0;
};

// Makes a new file, mode 0600, and holds a lock on it as long as it lives; ALREADY_EXISTS if there is one.
absl::StatusOr<std::unique_ptr<AppendFile>> CreateAppendFile(const std::string& path);

// Whether some process, this one too, holds the file that CreateAppendFile made: its session has a daemon still.
bool IsBeingWritten(const std::string& path);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_APPEND_FILE_H_
