// Whether a file system gives each change that follows a look at a file a time of its own.
//
// Linux does since 6.13, on ext4, xfs, btrfs and tmpfs ("multigrain timestamps",
// Documentation/filesystems/multigrain-ts.rst): there a file that was just made can be known by its stamp at once.
// Before, and elsewhere, whatever happens within a tick of the clock (4 ms at CONFIG_HZ=250, 10 ms at 100) looks the
// same.
//
// Found out by trying, on a file without a name, once for each file system. Thread-safe.
#ifndef OCPWATCH_DAEMON_STORE_FILE_CLOCK_H_
#define OCPWATCH_DAEMON_STORE_FILE_CLOCK_H_

#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace ocpwatch {

class FileClock {
 public:
  // `directory`: one on the file system `dev`. False where that cannot be found out.
  bool StampsEachChange(const std::string& directory, uint64_t dev);

 private:
  absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, bool> known_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_STORE_FILE_CLOCK_H_
