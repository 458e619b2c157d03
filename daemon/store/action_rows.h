// The database of the store, <directory>/actions.db (SQLite in WAL mode):
//
//   actions(id, fingerprint, place, inputs, used, record)
//                                 record: a v1::ActionRecord; place: hash of argv and cwd; inputs: of the observations
//   paths(action, makes, reads)   hashes, of 8 bytes each, of the paths it makes and it reads
//   digests(path, stamp, digest)  see digest_cache.h
//   counters(name, value)
//
// A record of 500 observations takes 46 KB, its paths 4; to write 200 of them 85 ms (with a row for each path 236); to
// open a database with 200 of them 4 ms, to go through their paths 0.3.
//
// Two connections, so that nobody who looks something up waits for a commit: WAL lets one read what was while the other
// writes. The functions for looking up are guarded by the store's mutex, those for commits by its commit mutex.
#ifndef OCPWATCH_DAEMON_STORE_ACTION_ROWS_H_
#define OCPWATCH_DAEMON_STORE_ACTION_ROWS_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "daemon/store/database.h"
#include "daemon/store/digest_cache.h"
#include "daemon/store/store.h"

namespace ocpwatch {

using ActionPtr = std::shared_ptr<const StoredAction>;

// That a file was there, and was read.
inline bool IsRead(const v1::Observation& observation) {
  return observation.content() && observation.type() != v1::FILE_ABSENT;
}

class ActionRows {
 public:
  struct Row {
    uint64_t id = 0;
    std::string fingerprint;
    uint64_t place = 0;   // HashOfPlace.
    uint64_t inputs = 0;  // HashOfInputs.
    int64_t used_unix_ns = 0;
    uint64_t bytes = 0;  // Of the record.
  };
  // What one commit writes: all of it, or nothing.
  struct Batch {
    struct New {
      Row row;
      ActionPtr action;
    };
    std::vector<New> added;
    std::vector<std::pair<uint64_t, int64_t>> used;  // id, when
    std::vector<uint64_t> gone;
    std::map<std::string, int64_t> counters;
    DigestCache::Fresh digests;
  };
  enum class Kind { kMakes, kReads };

  static absl::StatusOr<std::unique_ptr<ActionRows>> Open(const std::string& path);

  static uint64_t HashOfPlace(const v1::Fingerprint& key);
  // Of all observations: that of one record that is to take the place of another is compared, not parsed.
  static uint64_t HashOfInputs(const v1::ActionRecord& record);

  // ---- Looking up. ----
  absl::Status Load(absl::FunctionRef<void(Row)> action, DigestCache* digests,
                    std::map<std::string, int64_t>* counters);
  // False if it cannot be read.
  bool Read(uint64_t id, v1::ActionRecord* record);
  // The actions that make, or read, one of the paths, and perhaps some that do not, oldest first. Goes through the
  // hashes of all actions: only people ask.
  std::vector<uint64_t> OfPaths(const absl::flat_hash_set<std::string>& paths, Kind kind);

  // ---- Committing. ----
  absl::Status Write(const Batch& batch);
  // The least recently used first. `record` is null if it cannot be read.
  absl::Status ForEach(absl::FunctionRef<void(uint64_t id, int64_t used, uint64_t bytes, const v1::ActionRecord*)> fn);
  // Gives room that removed rows took back to the disk, if it is worth it.
  absl::Status Shrink();

 private:
  ActionRows(std::unique_ptr<Database> reader, std::unique_ptr<Database> writer)
      : reader_(std::move(reader)), writer_(std::move(writer)) {}
  absl::Status WriteRows(const Batch& batch);

  const std::unique_ptr<Database> reader_;
  const std::unique_ptr<Database> writer_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_STORE_ACTION_ROWS_H_
