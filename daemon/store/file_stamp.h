// What a file's status says about whether its content may have changed since.
#ifndef OCPWATCH_DAEMON_STORE_FILE_STAMP_H_
#define OCPWATCH_DAEMON_STORE_FILE_STAMP_H_

#include <sys/stat.h>

#include <cstdint>

namespace ocpwatch {

struct FileStamp {
  uint64_t dev = 0;
  uint64_t ino = 0;
  uint32_t mode = 0;  // Type and permissions.
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;

  static FileStamp Of(const struct stat& status) {
    return {status.st_dev,
            status.st_ino,
            status.st_mode,
            static_cast<uint64_t>(status.st_size),
            status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec,
            status.st_ctim.tv_sec * 1'000'000'000 + status.st_ctim.tv_nsec};
  }
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_STORE_FILE_STAMP_H_
