// A restore lays files beside their places in the user's directories before it renames them. A daemon that is killed
// meanwhile would leave those names for ever: each is written down before its file is made, and who opens the store
// next removes what is still there.
//
// <directory>/staged: names, each between two zero bytes. A name whose file was renamed or removed since is no harm;
// the list begins anew once nobody has a name and it is longer than kLongList. Not synced: a power cut may leave a
// file. 1.4 us a name on ext4.
//
// Thread-safe.
#ifndef OCPWATCH_DAEMON_STORE_STAGED_NAMES_H_
#define OCPWATCH_DAEMON_STORE_STAGED_NAMES_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/ingest/unique_fd.h"
#include "daemon/store/file_system.h"

namespace ocpwatch {

class StagedNames {
 public:
  // Whether `name`, without a directory, is such a name: ".ocp-watch-<pid>-<number>". It is in no listing that counts.
  static bool IsStaged(std::string_view name);

  // Removes what the list at `path` names (nothing but staged names), then begins it anew.
  absl::Status Open(const std::string& path, FileSystem* disk);

  // The names of one restore, from before the first until each was renamed or removed.
  class Batch {
   public:
    explicit Batch(StagedNames* names);
    ~Batch();
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

    // A name that nobody had before, in `directory`.
    absl::StatusOr<std::string> NameIn(const std::string& directory);

   private:
    StagedNames& names_;
  };

 private:
  absl::Mutex mutex_;
  FileSystem* disk_ = nullptr;  // Since Open.
  UniqueFd list_ ABSL_GUARDED_BY(mutex_);
  uint64_t size_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  uint32_t batches_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_STORE_STAGED_NAMES_H_
