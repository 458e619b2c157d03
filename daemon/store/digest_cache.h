// Digests of files, so that an unchanged file is never read twice.
//
// An entry is believed only for exactly the status that it was made with, and made only of a file whose times are older
// than the moment of hashing by more than the clock's granularity: a file that was changed twice within one tick of the
// clock would look the same. Where each change gets a time of its own (file_clock.h) products are known at once; other
// files are not, for the time comes before the content, and somebody may be in between.
//
// In memory (about 200 bytes an entry), in two generations: when the young one is full it becomes the old one, and what
// was not asked for since the last time is gone with the old one before (temporary files). New entries are handed out
// to be written to the database. Thread-safe. A look-up takes 0.05 us.
#ifndef OCPWATCH_DAEMON_STORE_DIGEST_CACHE_H_
#define OCPWATCH_DAEMON_STORE_DIGEST_CACHE_H_

#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "daemon/store/digest.h"
#include "daemon/store/file_stamp.h"

namespace ocpwatch {

// The kernel stamps files with the time of its last tick: 4 ms at CONFIG_HZ=250, 10 ms at 100.
inline constexpr int64_t kClockGranularityNs = 20'000'000;
inline constexpr int64_t kNothingUnseen = std::numeric_limits<int64_t>::max();
// In each of the two generations: a large project with all its headers; 40 MB for both.
inline constexpr size_t kMaxDigests = 100'000;

class DigestCache {
 public:
  struct Entry {
    FileStamp stamp;
    Digest digest;
  };
  struct Fresh {
    bool anew = false;  // These are all; what was written before goes.
    std::vector<std::pair<std::string, Entry>> entries;
  };

  explicit DigestCache(size_t max_young = kMaxDigests) : max_young_(max_young) {}
  std::optional<Digest> Find(const std::string& path, const FileStamp& stamp);
  // `now_ns`: CLOCK_REALTIME before the file was read; kNothingUnseen: whatever comes after that shows in the stamp.
  void Insert(const std::string& path, const FileStamp& stamp, const Digest& digest, int64_t now_ns);
  // As it was in the database.
  void Restore(const std::string& path, const Entry& entry);
  // What came since the last call.
  Fresh TakeFresh();
  // It could not be written; what changed meanwhile stays as it is.
  void PutBack(const Fresh& fresh);
  void Clear();

  size_t size() const;
  uint64_t hits() const;
  uint64_t misses() const;

 private:
  using Entries = absl::flat_hash_map<std::string, Entry>;
  Entry& Young(const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_young_;
  mutable absl::Mutex mutex_;
  Entries young_ ABSL_GUARDED_BY(mutex_);
  Entries old_ ABSL_GUARDED_BY(mutex_);
  bool anew_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_set<std::string> fresh_ ABSL_GUARDED_BY(mutex_);
  uint64_t hits_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t misses_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_STORE_DIGEST_CACHE_H_
