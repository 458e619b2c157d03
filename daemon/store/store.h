// Everything that build sessions keep: contents (blobs), action records, and the digests of files.
//
// Rules. A crash, a power cut, a full disk or a damaged file may lose something; it never makes a wrong answer:
//  - a blob is checked whenever it is put in place or written out, see checksums.h;
//  - a record is in the database only once the blobs that it names are on the disk (one sync for a batch of them);
//  - a digest of a file is believed only for the same path, device, inode, size, mtime and ctime, and not if the file
//    was changed within the clock's granularity of its hashing; but where each change gets a time of its own, that of a
//    product is at once;
//  - another version of the store's format is set aside, never read.
//
// Thread-safe. One store is open for each state directory, by the daemon that holds its lock.
#ifndef OCPWATCH_DAEMON_STORE_STORE_H_
#define OCPWATCH_DAEMON_STORE_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/store/digest.h"
#include "daemon/store/file_stamp.h"
#include "daemon/store/staged_names.h"
#include "ocpwatch/v1/action.pb.h"
#include "ocpwatch/v1/monitor.pb.h"

namespace ocpwatch {

// A record as the store gives it out. Never changes.
struct StoredAction {
  uint64_t id = 0;
  v1::ActionRecord record;
  int64_t last_used_unix_ns = 0;
};

// A record that has not been read yet.
struct Candidate {
  uint64_t id = 0;
  // What did not hold when the record was last looked at; null: not known. If it still does not, neither does the
  // record.
  std::shared_ptr<const v1::Observation> against;
};

struct StoreLimits {
  uint64_t max_bytes = 0;     // 0: none.
  uint32_t max_age_days = 0;  // 0: none.
};

class Store {
 public:
  // `directory` is <state>/store; made if it is not there. What cannot be used is set aside (a note says so).
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& directory);
  virtual ~Store() = default;

  // ---- Files' digests. ----

  // The digest of the file at `path`, provided that it is what `stamp` says before and after it is read
  // (FAILED_PRECONDITION if not: it has changed). Answered from the cache where that can be believed. `keep`: the
  // content goes into the store too (an output): read once for both.
  virtual absl::StatusOr<Digest> DigestOfPath(const std::string& path, const FileStamp& stamp, bool keep) = 0;
  // What the cache has; no file is read.
  virtual std::optional<Digest> KnownDigest(const std::string& path, const FileStamp& stamp) = 0;
  // The file at `path` was just made from a blob of this digest.
  virtual void NoteDigest(const std::string& path, const FileStamp& stamp, const Digest& digest) = 0;

  // ---- Blobs. ----

  virtual absl::StatusOr<Digest> PutBytes(std::string_view bytes) = 0;
  // Cheap: looks whether the blob's file is there and has its size.
  virtual bool HasBlob(const Digest& digest) = 0;
  // Reads it all: NOT_FOUND; DATA_LOSS: it was damaged, and has been put into quarantine.
  virtual absl::Status CheckBlob(const Digest& digest) = 0;
  // Where the blob is. It may be read by anybody of this user, who checks it first, and never be written.
  virtual std::string BlobPath(const Digest& digest) const = 0;
  // Writes the content as a new file `path`, which must not exist (the caller renames it to where it belongs); reflink
  // or copy, never a hard link. DATA_LOSS: the blob is damaged; it has been put into quarantine, `path` is not there.
  virtual absl::Status CopyBlob(const Digest& digest, const std::string& path, uint32_t mode) = 0;
  // For the names under which such files are laid down.
  virtual StagedNames* staged_names() = 0;
  // The content of a small blob, checked.
  virtual absl::StatusOr<std::string> ReadBlob(const Digest& digest) = 0;

  // ---- Actions. ----

  // Of this fingerprint, the newest first, at most kMaxRecordsPerFingerprint.
  virtual std::vector<std::shared_ptr<const StoredAction>> Find(std::string_view fingerprint) = 0;
  // The same, for who may not need them all: to read and parse one of 500 observations takes 140 us.
  virtual std::vector<Candidate> Candidates(std::string_view fingerprint) = 0;
  // Null if it is no more, or cannot be read.
  virtual std::shared_ptr<const StoredAction> Get(uint64_t id) = 0;
  // One of its observations does not hold.
  virtual void NoteMismatch(uint64_t id, const v1::Observation& observation) = 0;
  // Records of the same argv and cwd, whatever else differs: for explanations. At most `limit`, the newest first.
  virtual std::vector<std::shared_ptr<const StoredAction>> FindSimilar(const v1::Fingerprint& key, size_t limit) = 0;
  // All of whose blobs have been put. Can be found at once; is on the disk after the next Commit. One with the same
  // observations as a record before it takes that one's place.
  virtual absl::Status Put(v1::ActionRecord record) = 0;
  // Makes blobs and records so far durable.
  virtual absl::Status Commit() = 0;
  // The same, a moment later, by the store's own thread. Put and NoteHit ask for it themselves.
  virtual void CommitSoon() = 0;
  // It was reused now and saved so much.
  virtual void NoteHit(uint64_t id, int64_t saved_ns) = 0;
  virtual void NoteMiss() = 0;
  virtual void NoteBuild(bool whole_hit) = 0;
  // It cannot be used any more: a blob of it is gone.
  virtual void Forget(uint64_t id) = 0;

  // Actions that made `path`, at most `limit`, and those that read one of `paths`, until `fn` returns false: the newest
  // first. Goes through all actions.
  virtual std::vector<std::shared_ptr<const StoredAction>> MadeBy(const std::string& path, size_t limit) = 0;
  virtual void ForEachReader(const absl::flat_hash_set<std::string>& paths,
                             absl::FunctionRef<bool(const StoredAction&)> fn) = 0;

  // ---- Care. ----

  virtual v1::StatsReply Stats() = 0;
  // Held by whoever puts and finds blobs: none that was put or found since then is collected. The store outlives it.
  virtual std::shared_ptr<const void> Use() = 0;
  // Least recently used actions first; then the blobs that none names and nobody uses. A blob gone missing is a miss.
  virtual absl::StatusOr<v1::CollectGarbageReply> CollectGarbage(const StoreLimits& limits, bool dry_run) = 0;
  virtual absl::StatusOr<v1::VerifyReply> Verify() = 0;
  virtual absl::StatusOr<v1::ClearReply> Clear() = 0;
  // For people: what was found damaged or set aside at Open.
  virtual const std::vector<std::string>& notes() const = 0;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_STORE_STORE_H_
