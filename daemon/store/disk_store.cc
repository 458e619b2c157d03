#include "daemon/store/disk_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

namespace {

// What comes within this time is committed together.
constexpr absl::Duration kCommitDelay = absl::Milliseconds(200);

int64_t RealtimeNs() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

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

DiskStore::DiskStore(const std::string& directory) : directory_(directory), blobs_(directory) {}

void DiskStore::SetAside(const std::string& path, const std::string& why) {
  const std::string aside = absl::StrCat(path, ".old-", RealtimeNs());
  if (rename(path.c_str(), aside.c_str()) == 0) notes_.push_back(absl::StrCat(path, " ", why, "; it is now ", aside));
}

absl::Status DiskStore::Open() {
  const std::string version = directory_ + "/version";
  if (Exists(directory_ + "/blobs") && ReadLine(version) != kStoreVersion) {
    SetAside(directory_, absl::StrCat("is of version \"", ReadLine(version), "\", not ", kStoreVersion));
  }
  if (absl::Status status = blobs_.Open(); !status.ok()) return status;
  if (std::ofstream file(version); !(file << kStoreVersion << '\n')) {
    return absl::UnavailableError(absl::StrCat("cannot write ", version));
  }
  const std::string path = directory_ + "/actions.db";
  absl::StatusOr<std::unique_ptr<ActionTable>> table = ActionTable::Open(path, &digests_);
  if (absl::IsDataLoss(table.status())) {
    for (const char* suffix : {"", "-wal", "-shm"}) {
      if (Exists(path + suffix)) SetAside(path + suffix, "is damaged");
    }
    digests_.Clear();
    table = ActionTable::Open(path, &digests_);
  }
  if (!table.ok()) return table.status();
  absl::MutexLock lock(&mutex_);
  table_ = *std::move(table);
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
  // First the blobs, then the records that name them: those that are put from here on wait for the next time, for a
  // record is written in one piece with the table's lock held.
  absl::MutexLock lock(&mutex_);
  if (absl::Status status = blobs_.Sync(); !status.ok()) return status;
  return table_->Flush(digests_.TakeFresh());
}

absl::StatusOr<Digest> DiskStore::DigestOfPath(const std::string& path, const FileStamp& stamp, bool keep) {
  if (const std::optional<Digest> known = digests_.Find(path, stamp);
      known.has_value() && (!keep || blobs_.Has(*known))) {
    return *known;
  }
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, path);
  const auto is_as_said = [&] {
    struct stat status;
    return fstat(fd.get(), &status) == 0 && FileStamp::Of(status) == stamp;
  };
  const int64_t now = RealtimeNs();
  const absl::Status changed = absl::FailedPreconditionError(absl::StrCat(path, " has changed"));
  if (!is_as_said()) return changed;
  absl::StatusOr<Digest> digest = keep ? blobs_.PutFile(fd.get()) : DigestOfFile(fd.get());
  if (!digest.ok()) return digest;
  if (!is_as_said()) return changed;
  digests_.Insert(path, stamp, *digest, now);
  return digest;
}

std::optional<Digest> DiskStore::KnownDigest(const std::string& path, const FileStamp& stamp) {
  return digests_.Find(path, stamp);
}

void DiskStore::NoteDigest(const std::string& path, const FileStamp& stamp, const Digest& digest) {
  digests_.Insert(path, stamp, digest, RealtimeNs());
}

absl::Status DiskStore::CopyBlob(const Digest& digest, const std::string& path, uint32_t mode) {
  return blobs_.Copy(digest, path, mode);
}

std::vector<ActionPtr> DiskStore::Find(std::string_view fingerprint) {
  absl::MutexLock lock(&mutex_);
  return table_->Find(fingerprint);
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
}

void DiskStore::Forget(uint64_t id) {
  absl::MutexLock lock(&mutex_);
  table_->Forget(id);
  commit_soon_ = true;
}

std::vector<ActionPtr> DiskStore::MadeBy(const std::string& path, size_t limit) {
  absl::MutexLock lock(&mutex_);
  return table_->OfPath(path, /*made=*/true, limit);
}

std::vector<ActionPtr> DiskStore::ReadBy(const std::string& path, size_t limit) {
  absl::MutexLock lock(&mutex_);
  return table_->OfPath(path, /*made=*/false, limit);
}

}  // namespace ocpwatch
