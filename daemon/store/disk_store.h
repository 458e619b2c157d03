// The store on a disk: blobs, actions and digests under one directory, see store.h, blob_store.h, action_table.h.
//
//   <directory>/staged        see staged_names.h
//   <directory>/version       "3": kStoreVersion; another one is renamed aside, whole (store.old-<time>)
//   <directory>/actions.db    with -wal and -shm of SQLite; a damaged one is renamed aside, the blobs stay
//
// Threads: any caller's, and one that commits what is new a moment after it came. One mutex guards the table; files are
// read, hashed, copied, synced and records written without it.
#ifndef OCPWATCH_DAEMON_STORE_DISK_STORE_H_
#define OCPWATCH_DAEMON_STORE_DISK_STORE_H_

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "daemon/store/action_table.h"
#include "daemon/store/blob_store.h"
#include "daemon/store/digest_cache.h"
#include "daemon/store/file_clock.h"
#include "daemon/store/store.h"

namespace ocpwatch {

inline constexpr char kStoreVersion[] = "3";

class DiskStore final : public Store {
 public:
  explicit DiskStore(const std::string& directory, FileSystem* disk = FileSystem::Real());
  ~DiskStore() override;
  absl::Status Open();

  absl::StatusOr<Digest> DigestOfPath(const std::string& path, const FileStamp& stamp, bool keep) override;
  std::optional<Digest> KnownDigest(const std::string& path, const FileStamp& stamp) override;
  void NoteDigest(const std::string& path, const FileStamp& stamp, const Digest& digest) override;
  absl::StatusOr<Digest> PutBytes(std::string_view bytes) override { return blobs_.PutBytes(bytes); }
  bool HasBlob(const Digest& digest) override { return blobs_.Has(digest); }
  absl::Status CheckBlob(const Digest& digest) override {
    return blobs_.ReadChecked(digest, [](std::string_view) {});
  }
  std::string BlobPath(const Digest& digest) const override { return blobs_.Path(digest); }
  absl::Status CopyBlob(const Digest& digest, const std::string& path, uint32_t mode) override;
  StagedNames* staged_names() override { return &staged_names_; }
  absl::StatusOr<std::string> ReadBlob(const Digest& digest) override { return blobs_.Read(digest); }
  std::vector<ActionPtr> Find(std::string_view fingerprint) override;
  std::vector<Candidate> Candidates(std::string_view fingerprint) override;
  ActionPtr Get(uint64_t id) override;
  void NoteMismatch(uint64_t id, const v1::Observation& observation) override;
  std::vector<ActionPtr> FindSimilar(const v1::Fingerprint& key, size_t limit) override;
  absl::Status Put(v1::ActionRecord record) override;
  absl::Status Commit() override;
  void CommitSoon() override;
  void NoteHit(uint64_t id, int64_t saved_ns) override;
  void NoteMiss() override;
  void NoteBuild(bool whole_hit) override;
  void Forget(uint64_t id) override;
  std::vector<ActionPtr> MadeBy(const std::string& path, size_t limit) override;
  void ForEachReader(const absl::flat_hash_set<std::string>& paths,
                     absl::FunctionRef<bool(const StoredAction&)> fn) override;
  v1::StatsReply Stats() override;
  std::shared_ptr<const void> Use() override;
  absl::StatusOr<v1::CollectGarbageReply> CollectGarbage(const StoreLimits& limits, bool dry_run) override;
  absl::StatusOr<v1::VerifyReply> Verify() override;
  absl::StatusOr<v1::ClearReply> Clear() override;
  const std::vector<std::string>& notes() const override { return notes_; }

 private:
  absl::Status OpenTable();
  void CommitLoop();
  // Parses one after the other: all that read a system's header would fill the memory.
  void ForEachOf(const absl::flat_hash_set<std::string>& paths, ActionRows::Kind kind,
                 absl::FunctionRef<bool(const ActionPtr&)> fn);
  // Blobs that were put later may belong to somebody who uses the store now.
  int64_t UnusedSince() ABSL_LOCKS_EXCLUDED(uses_mutex_);
  // First the blobs, then the records that name them: all those that had been put when it began.
  absl::Status CommitAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mutex_);
  // Of a file that was just made: whoever made it has ended, so that nobody is in the middle of a change.
  void KeepDigest(const std::string& path, const FileStamp& stamp, const Digest& digest, int64_t now_ns);
  // Why: "version 7" or the like.
  void SetAside(const std::string& path, const std::string& why);

  const std::string directory_;
  std::vector<std::string> notes_;
  FileSystem* const disk_;
  BlobStore blobs_;
  StagedNames staged_names_;
  DigestCache digests_;
  FileClock clock_;
  std::unique_ptr<ActionRows> rows_;  // Since Open; its two halves are guarded by the two mutexes.
  absl::Mutex commit_mutex_;          // One commit or collection at a time. Taken before `mutex_`.
  absl::Mutex mutex_;
  std::unique_ptr<ActionTable> table_ ABSL_GUARDED_BY(mutex_);
  absl::Mutex uses_mutex_;
  std::multiset<int64_t> uses_ ABSL_GUARDED_BY(uses_mutex_);  // Since when, by the clock that files have.
  bool commit_soon_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread committer_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_STORE_DISK_STORE_H_
