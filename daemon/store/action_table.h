// Action records: in memory by fingerprint, written behind to SQLite (<directory>/actions.db):
//
//   actions(id, fingerprint, place, used, record)   record: a v1::ActionRecord; place: hash of argv and cwd
//   paths(path, kind, action)                       kind 0: the action makes the path, 1: reads it; path is a hash
//   digests(path, stamp, digest)                    see digest_cache.h
//   counters(name, value)
//
// All fingerprints are in memory (60 bytes each); records are parsed when they are first asked for, and the last
// kMaxParsed stay parsed. Measured: a look-up of a parsed record 0.5 us; a record of 300 observations is 40 KB.
//
// Not thread-safe: guarded by the store.
#ifndef OCPWATCH_DAEMON_STORE_ACTION_TABLE_H_
#define OCPWATCH_DAEMON_STORE_ACTION_TABLE_H_

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "daemon/store/database.h"
#include "daemon/store/digest_cache.h"
#include "daemon/store/store.h"

namespace ocpwatch {

// Of one fingerprint: the states between which somebody goes back and forth. The oldest makes room.
inline constexpr size_t kMaxRecordsPerFingerprint = 8;
inline constexpr size_t kMaxParsed = 20'000;

using ActionPtr = std::shared_ptr<const StoredAction>;

class ActionTable {
 public:
  static absl::StatusOr<std::unique_ptr<ActionTable>> Open(const std::string& path, DigestCache* digests);

  std::vector<ActionPtr> Find(std::string_view fingerprint);
  std::vector<ActionPtr> FindSimilar(const v1::Fingerprint& key, size_t limit);
  std::vector<ActionPtr> OfPath(const std::string& path, bool made, size_t limit);
  void Put(v1::ActionRecord record);
  void Use(uint64_t id);
  void Forget(uint64_t id);
  void Count(const std::string& counter, int64_t by) { counters_[counter] += by; }
  int64_t counter(const std::string& name) const;
  size_t size() const { return entries_.size(); }

  // Writes what is new, in one transaction.
  absl::Status Flush(std::vector<std::pair<std::string, DigestCache::Entry>> digests);
  bool dirty() const { return !changed_.empty() || !gone_.empty(); }

  // fn(id, last use) for all, the least recently used first.
  std::vector<std::pair<uint64_t, int64_t>> ByUse() const;
  // Null if it cannot be read.
  ActionPtr Load(uint64_t id);
  void Clear();

 private:
  struct Entry {
    std::string fingerprint;
    uint64_t place = 0;
    int64_t used_unix_ns = 0;
    ActionPtr parsed;  // Also what has not been written yet.
    bool written = true;
  };

  explicit ActionTable(std::unique_ptr<Database> database) : database_(std::move(database)) {}
  absl::Status LoadAll(DigestCache* digests);
  void Remember(uint64_t id);

  const std::unique_ptr<Database> database_;
  uint64_t next_id_ = 1;
  absl::flat_hash_map<uint64_t, Entry> entries_;
  absl::flat_hash_map<std::string, std::vector<uint64_t>> by_fingerprint_;  // Oldest first.
  absl::flat_hash_map<uint64_t, std::vector<uint64_t>> by_place_;
  absl::flat_hash_map<uint64_t, std::vector<uint64_t>> fresh_made_, fresh_read_;  // Paths' hashes -> not written yet.
  std::set<uint64_t> changed_;                                                    // To be written.
  std::set<uint64_t> gone_;
  std::deque<uint64_t> parsed_;  // In the order of parsing; those that are written may be dropped.
  std::map<std::string, int64_t> counters_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_STORE_ACTION_TABLE_H_
