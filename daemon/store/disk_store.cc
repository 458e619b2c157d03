#include "daemon/store/disk_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

namespace {

// What comes within this time is committed together.
constexpr absl::Duration kCommitDelay = absl::Seconds(2);

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

std::string ReadLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& directory) {
  auto store = std::make_unique<DiskStore>(directory);
  if (absl::Status status = store->Open(); !status.ok()) return status;
  return store;
}

DiskStore::DiskStore(const std::string& directory, FileSystem* disk)
    : directory_(directory), disk_(disk), blobs_(directory, disk) {}

void DiskStore::SetAside(const std::string& path, const std::string& why) {
  const std::string aside = absl::StrCat(path, ".old-", absl::GetCurrentTimeNanos());
  if (rename(path.c_str(), aside.c_str()) == 0) notes_.push_back(absl::StrCat(path, " ", why, "; it is now ", aside));
}

absl::Status DiskStore::Open() {
  const std::string version = directory_ + "/version";
  const bool is_there = Exists(version) || Exists(directory_ + "/blobs");
  if (is_there && ReadLine(version) != kStoreVersion) {
    SetAside(directory_, absl::StrCat("is of version \"", ReadLine(version), "\", not ", kStoreVersion));
    if (Exists(directory_)) return absl::UnavailableError(absl::StrCat("cannot set aside ", directory_));
  }
  if (absl::Status status = blobs_.Open(); !status.ok()) return status;
  // Written once, and whole: a store that has lost its version would be set aside.
  if (!Exists(version)) {
    if (absl::Status status = blobs_.WriteFile("version", absl::StrCat(kStoreVersion, "\n")); !status.ok())
      return status;
  }
  if (absl::Status status = staged_names_.Open(directory_ + "/staged", disk_); !status.ok()) return status;
  if (absl::Status status = OpenTable(); !absl::IsDataLoss(status)) return status;
  for (const char* suffix : {"", "-wal", "-shm"}) {
    const std::string path = absl::StrCat(directory_, "/actions.db", suffix);
    if (Exists(path)) SetAside(path, "is damaged");
  }
  digests_.Clear();
  return OpenTable();
}

absl::Status DiskStore::OpenTable() {
  absl::StatusOr<std::unique_ptr<ActionRows>> rows = ActionRows::Open(directory_ + "/actions.db");
  if (!rows.ok()) return rows.status();
  auto table = std::make_unique<ActionTable>(rows->get());
  if (absl::Status status = table->Load(&digests_); !status.ok()) return status;
  rows_ = *std::move(rows);
  absl::MutexLock lock(&mutex_);
  table_ = std::move(table);
  committer_ = std::thread([this] { CommitLoop(); });
  return absl::OkStatus();
}

DiskStore::~DiskStore() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  if (!committer_.joinable()) return;
  committer_.join();
  Commit().IgnoreError();
}

void DiskStore::CommitLoop() {
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return commit_soon_ || stop_; };
      mutex_.Await(absl::Condition(&wanted));
      if (!stop_) mutex_.AwaitWithTimeout(absl::Condition(&stop_), kCommitDelay);
      if (stop_) return;
      commit_soon_ = false;
    }
    Commit().IgnoreError();  // What could not be written stays to be written the next time.
  }
}

void DiskStore::CommitSoon() {
  absl::MutexLock lock(&mutex_);
  commit_soon_ = true;
}

absl::Status DiskStore::Commit() {
  absl::MutexLock one(&commit_mutex_);
  return CommitAll();
}

absl::Status DiskStore::CommitAll() {
  ActionRows::Batch batch;
  {
    absl::MutexLock lock(&mutex_);
    batch = table_->TakeBatch();
  }
  batch.digests = digests_.TakeFresh();
  absl::Status status = blobs_.Sync();
  if (status.ok()) status = rows_->Write(batch);
  absl::MutexLock lock(&mutex_);
  if (status.ok()) {
    table_->Written(batch);
  } else {
    table_->PutBack(batch);
    digests_.PutBack(batch.digests);
  }
  return status;
}

absl::StatusOr<Digest> DiskStore::DigestOfPath(const std::string& path, const FileStamp& stamp, bool keep) {
  if (const std::optional<Digest> known = digests_.Find(path, stamp);
      known.has_value() && (!keep || blobs_.Renew(*known))) {
    return *known;
  }
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, path);
  const auto is_as_said = [&] {
    struct stat status;
    return fstat(fd.get(), &status) == 0 && FileStamp::Of(status) == stamp;
  };
  const int64_t now = absl::GetCurrentTimeNanos();
  const absl::Status changed = absl::FailedPreconditionError(absl::StrCat(path, " has changed"));
  if (!is_as_said()) return changed;
  absl::StatusOr<Digest> digest = keep ? blobs_.PutFile(fd.get()) : DigestOfFile(fd.get());
  if (!digest.ok()) return digest;
  if (!is_as_said()) return changed;
  if (keep) {
    KeepDigest(path, stamp, *digest, now);
  } else {
    digests_.Insert(path, stamp, *digest, now);
  }
  return digest;
}

void DiskStore::KeepDigest(const std::string& path, const FileStamp& stamp, const Digest& digest, int64_t now_ns) {
  const std::string directory = path.substr(0, std::max<size_t>(1, path.rfind('/')));
  const bool tells = clock_.StampsEachChange(directory, stamp.dev);
  digests_.Insert(path, stamp, digest, tells ? kNothingUnseen : now_ns);
}

std::optional<Digest> DiskStore::KnownDigest(const std::string& path, const FileStamp& stamp) {
  return digests_.Find(path, stamp);
}

void DiskStore::NoteDigest(const std::string& path, const FileStamp& stamp, const Digest& digest) {
  KeepDigest(path, stamp, digest, absl::GetCurrentTimeNanos());
}

absl::Status DiskStore::CopyBlob(const Digest& digest, const std::string& path, uint32_t mode) {
  return blobs_.Copy(digest, path, mode);
}

std::vector<ActionPtr> DiskStore::Find(std::string_view fingerprint) {
  absl::MutexLock lock(&mutex_);
  return table_->Find(fingerprint);
}

std::vector<Candidate> DiskStore::Candidates(std::string_view fingerprint) {
  absl::MutexLock lock(&mutex_);
  return table_->Candidates(fingerprint);
}

ActionPtr DiskStore::Get(uint64_t id) {
  absl::MutexLock lock(&mutex_);
  return table_->Get(id);
}

void DiskStore::NoteMismatch(uint64_t id, const v1::Observation& observation) {
  absl::MutexLock lock(&mutex_);
  table_->NoteMismatch(id, observation);
}

std::vector<ActionPtr> DiskStore::FindSimilar(const v1::Fingerprint& key, size_t limit) {
  absl::MutexLock lock(&mutex_);
  return table_->FindSimilar(key, limit);
}

absl::Status DiskStore::Put(v1::ActionRecord record) {
  absl::MutexLock lock(&mutex_);
  table_->Put(std::move(record));
  table_->Count("stored", 1);
  commit_soon_ = true;
  return absl::OkStatus();
}

void DiskStore::NoteHit(uint64_t id, int64_t saved_ns) {
  absl::MutexLock lock(&mutex_);
  table_->Use(id);
  table_->Count("hits", 1);
  table_->Count("saved", saved_ns);
  commit_soon_ = true;
}

void DiskStore::NoteMiss() {
  absl::MutexLock lock(&mutex_);
  table_->Count("misses", 1);
}

void DiskStore::NoteBuild(bool whole_hit) {
  absl::MutexLock lock(&mutex_);
  table_->Count("builds", 1);
  if (whole_hit) table_->Count("whole", 1);
  commit_soon_ = true;
}

void DiskStore::Forget(uint64_t id) {
  absl::MutexLock lock(&mutex_);
  table_->Forget(id);
  commit_soon_ = true;
}

std::vector<ActionPtr> DiskStore::MadeBy(const std::string& path, size_t limit) {
  std::vector<ActionPtr> found;
  ForEachOf({path}, ActionRows::Kind::kMakes, [&](const ActionPtr& action) {
    found.push_back(action);
    return found.size() < limit;
  });
  return found;
}

void DiskStore::ForEachReader(const absl::flat_hash_set<std::string>& paths,
                              absl::FunctionRef<bool(const StoredAction&)> fn) {
  ForEachOf(paths, ActionRows::Kind::kReads, [&](const ActionPtr& action) { return fn(*action); });
}

void DiskStore::ForEachOf(const absl::flat_hash_set<std::string>& paths, ActionRows::Kind kind,
                          absl::FunctionRef<bool(const ActionPtr&)> fn) {
  std::vector<uint64_t> ids;
  {
    absl::MutexLock lock(&mutex_);
    ids = table_->PerhapsOf(paths, kind);
  }
  for (const uint64_t id : ids) {
    ActionPtr action;
    {
      absl::MutexLock lock(&mutex_);
      action = table_->GetIfOf(id, paths, kind);
    }
    if (action != nullptr && !fn(action)) return;
  }
}

}  // namespace ocpwatch
