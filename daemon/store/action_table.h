// Action records in memory by fingerprint, written behind to the database (action_rows.h).
//
// Of every record there is its fingerprint (200 bytes with the maps), and what has last spoken against it. A record is
// parsed when it is asked for, and stays so until kMaxParsedBytes of others were asked for since, or there is a newer
// one of its fingerprint: without that, the memory grew for 160 builds, each with an edit, instead of for ten. What is
// not yet written is always here.
// With records of 500 observations (46 KB in the database, 178 KB parsed): Find 0.15 us, the first one 140 us; Put 67
// us (of which SHA-256 of the observations 40), the second of a fingerprint 120.
//
// Not thread-safe: guarded by the store.
#ifndef OCPWATCH_DAEMON_STORE_ACTION_TABLE_H_
#define OCPWATCH_DAEMON_STORE_ACTION_TABLE_H_

#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "daemon/store/action_rows.h"
#include "daemon/store/digest_cache.h"
#include "daemon/store/store.h"

namespace ocpwatch {

// Of one fingerprint: the states between which somebody goes back and forth. The oldest makes room.
inline constexpr size_t kMaxRecordsPerFingerprint = 8;
// 50 compiles of 500 observations: those that are asked for again and again. Others are parsed anew, which takes 50 us,
// a thousandth of what they save.
inline constexpr size_t kMaxParsedBytes = size_t{8} << 20;

class ActionTable {
 public:
  // `rows` outlives the table.
  explicit ActionTable(ActionRows* rows) : rows_(rows) {}
  absl::Status Load(DigestCache* digests);

  std::vector<ActionPtr> Find(std::string_view fingerprint);
  std::vector<Candidate> Candidates(std::string_view fingerprint) const;
  // Null if it is no more, or cannot be read.
  ActionPtr Get(uint64_t id);
  void NoteMismatch(uint64_t id, const v1::Observation& observation);
  std::vector<ActionPtr> FindSimilar(const v1::Fingerprint& key, size_t limit);
  // Those that make, or read, one of the paths, and perhaps others: newest first.
  std::vector<uint64_t> PerhapsOf(const absl::flat_hash_set<std::string>& paths, ActionRows::Kind kind);
  // Null if it does not, or is no more.
  ActionPtr GetIfOf(uint64_t id, const absl::flat_hash_set<std::string>& paths, ActionRows::Kind kind);
  void Put(v1::ActionRecord record);
  void Use(uint64_t id);
  void Forget(uint64_t id);
  // Unless it was used after `used_unix_ns`. False: it stays.
  bool ForgetUnused(uint64_t id, int64_t used_unix_ns);
  void ForgetAll();

  void Count(const std::string& counter, int64_t by) { counters_[counter] += by; }
  int64_t counter(const std::string& name) const;
  size_t size() const { return entries_.size(); }
  uint64_t record_bytes() const { return record_bytes_; }
  size_t parsed_bytes() const { return parsed_bytes_; }

  // What is new since the last batch that was written. Then Written, or PutBack where that failed.
  ActionRows::Batch TakeBatch();
  void Written(const ActionRows::Batch& batch);
  void PutBack(const ActionRows::Batch& batch);

 private:
  struct Entry {
    ActionRows::Row row;
    bool written = false;
    std::shared_ptr<const v1::Observation> against = {};
    ActionPtr parsed = {};                      // Also whatever has not been written yet.
    std::list<uint64_t>::iterator recent = {};  // Valid while `parsed` is not null.
  };
  using Ids = std::vector<uint64_t>;  // Oldest first.

  void Add(Entry entry);
  static size_t ParsedBytes(const Entry& entry);  // About.
  void Keep(Entry& entry, ActionPtr action);
  void DropParsed(Entry& entry);
  // There is a newer one of its fingerprint.
  bool IsOld(const Entry& entry) const { return by_fingerprint_.at(entry.row.fingerprint).back() != entry.row.id; }
  void Evict();

  ActionRows* const rows_;
  uint64_t next_id_ = 1;
  uint64_t record_bytes_ = 0;
  absl::flat_hash_map<uint64_t, Entry> entries_;
  absl::flat_hash_map<std::string, Ids> by_fingerprint_;
  absl::flat_hash_map<uint64_t, Ids> by_place_;
  std::set<uint64_t> changed_;  // To be written.
  std::set<uint64_t> gone_;
  std::list<uint64_t> recent_;  // Those that are parsed, the last asked for at the front.
  size_t parsed_bytes_ = 0;
  std::map<std::string, int64_t> counters_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_STORE_ACTION_TABLE_H_
