#include "daemon/store/blob_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "daemon/ingest/unique_fd.h"
#include "daemon/store/file_stamp.h"

namespace ocpwatch {

namespace {

constexpr size_t kSyncAtOnce = 64;

absl::Status Failed(const char* what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

int64_t PutNs(const struct stat& status) { return FileStamp::Of(status).mtime_ns; }

// The names in a directory, without . and .. ; none where it cannot be read.
std::vector<std::string> NamesIn(const std::string& path) {
  std::vector<std::string> names;
  DIR* const stream = opendir(path.c_str());
  if (stream == nullptr) return names;
  while (const dirent* const entry = readdir(stream)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(stream);
  return names;
}

bool IsDigestName(const std::string& hex) {
  return hex.size() == 64 && hex.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

absl::Status BlobStore::MakeDirectory(const std::string& path) {
  if (disk_->MakeDirectory(path) == 0 || errno == EEXIST) return absl::OkStatus();
  return Failed("make the directory", path);
}

absl::Status BlobStore::WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t size = disk_->Write(fd, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Failed("write", path);
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  return absl::OkStatus();
}

absl::Status BlobStore::CopyContent(int from, int to, const std::string& path, Checksums::Reading* reading) {
  const bool cloned = disk_->Clone(from, to) == 0;
  return ReadParts(cloned ? to : from, [&](std::string_view part) {
    reading->Add(part);
    return cloned ? absl::OkStatus() : WriteAll(to, part, path);
  });
}

absl::Status BlobStore::Open() {
  for (const char* name : {"", "/blobs", "/temporary", "/quarantine"}) {
    if (absl::Status status = MakeDirectory(directory_ + name); !status.ok()) return status;
  }
  for (const std::string& name : NamesIn(directory_ + "/temporary")) {
    unlink(absl::StrCat(directory_, "/temporary/", name).c_str());
  }
  return absl::OkStatus();
}

std::string BlobStore::Path(const Digest& digest) const {
  const std::string hex = Hex(digest);
  return absl::StrCat(directory_, "/blobs/", hex.substr(0, 2), "/", hex.substr(2));
}

std::string BlobStore::TemporaryPath() { return absl::StrCat(directory_, "/temporary/", next_temporary_++); }

bool BlobStore::Has(const Digest& digest) const {
  struct stat status;
  return stat(Path(digest).c_str(), &status) == 0 && static_cast<uint64_t>(status.st_size) == digest.size;
}

bool BlobStore::Renew(const Digest& digest) {
  absl::MutexLock lock(&mutex_);
  if (!Has(digest)) return false;
  utimensat(AT_FDCWD, Path(digest).c_str(), nullptr, 0);
  return true;
}

absl::Status BlobStore::Settle(const std::string& temporary, const Digest& digest) {
  if (Renew(digest)) {
    unlink(temporary.c_str());
    return absl::OkStatus();
  }
  const std::string path = Path(digest);
  absl::Status status;
  if (disk_->Rename(temporary, path) != 0) {
    status = MakeDirectory(path.substr(0, path.rfind('/')));
    if (status.ok() && disk_->Rename(temporary, path) != 0) status = Failed("put in place", path);
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  absl::MutexLock lock(&mutex_);
  unsynced_.push_back(digest);
  return absl::OkStatus();
}

absl::StatusOr<Digest> BlobStore::PutBytes(std::string_view bytes) {
  Checksums::Reading reading(&checksums_);
  reading.Add(bytes);
  const Digest digest = reading.Finish();
  if (Renew(digest)) return digest;
  const std::string temporary = TemporaryPath();
  absl::Status status;
  {
    const UniqueFd fd(disk_->Create(temporary, 0400));
    if (!fd.valid()) return Failed("make", temporary);
    status = WriteAll(fd.get(), bytes, temporary);
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  if (status = Settle(temporary, digest); !status.ok()) return status;
  return digest;
}

absl::Status BlobStore::WriteFile(const std::string& name, std::string_view bytes) {
  const std::string temporary = TemporaryPath();
  absl::Status status;
  {
    const UniqueFd fd(disk_->Create(temporary, 0600));
    if (!fd.valid()) return Failed("make", temporary);
    status = WriteAll(fd.get(), bytes, temporary);
    if (status.ok() && disk_->Sync(fd.get()) != 0) status = Failed("sync", temporary);
  }
  const std::string path = absl::StrCat(directory_, "/", name);
  if (status.ok() && disk_->Rename(temporary, path) != 0) status = Failed("write", path);
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

absl::StatusOr<Digest> BlobStore::PutFile(int fd) {
  const std::string temporary = TemporaryPath();
  Checksums::Reading reading(&checksums_);
  absl::Status status;
  {
    const UniqueFd copy(disk_->Create(temporary, 0400));
    if (!copy.valid()) return Failed("make", temporary);
    status = CopyContent(fd, copy.get(), temporary, &reading);
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  const Digest digest = reading.Finish();
  if (status = Settle(temporary, digest); !status.ok()) return status;
  return digest;
}

absl::Status BlobStore::Copy(const Digest& digest, const std::string& path, uint32_t mode) {
  const UniqueFd from(open(Path(digest).c_str(), O_RDONLY | O_CLOEXEC));
  if (!from.valid()) {
    return errno == ENOENT ? absl::NotFoundError("a content is not in the store any more")
                           : Failed("read", Path(digest));
  }
  const UniqueFd to(disk_->Create(path, 0600));
  if (!to.valid()) return Failed("make", path);
  Checksums::Reading reading(&checksums_, digest);
  absl::Status status = CopyContent(from.get(), to.get(), path, &reading);
  if (status.ok() && reading.Finish() != digest) {
    Quarantine(digest);
    status = absl::DataLossError(absl::StrCat("the content ", Hex(digest), " is damaged"));
  }
  if (status.ok() && fchmod(to.get(), mode) != 0) status = Failed("set the mode of", path);
  if (!status.ok()) unlink(path.c_str());
  return status;
}

absl::StatusOr<std::string> BlobStore::Read(const Digest& digest) {
  std::string bytes;
  const absl::Status status = ReadChecked(digest, [&](std::string_view part) { bytes.append(part); });
  if (!status.ok()) return status;
  return bytes;
}

absl::Status BlobStore::ReadChecked(const Digest& digest, absl::FunctionRef<void(std::string_view)> fn) {
  const UniqueFd fd(open(Path(digest).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return absl::NotFoundError("a content is not in the store any more");
  Checksums::Reading reading(&checksums_, digest);
  absl::Status status = ReadParts(fd.get(), [&](std::string_view part) {
    reading.Add(part);
    fn(part);
    return absl::OkStatus();
  });
  if (status.ok() && reading.Finish() != digest) {
    Quarantine(digest);
    status = absl::DataLossError(absl::StrCat("the content ", Hex(digest), " is damaged"));
  }
  return status;
}

absl::Status BlobStore::SyncDirectory(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() || disk_->Sync(fd.get()) != 0) return Failed("sync", path);
  return absl::OkStatus();
}

absl::Status BlobStore::Sync() {
  std::vector<Digest> fresh;
  {
    absl::MutexLock lock(&mutex_);
    fresh.swap(unsynced_);
  }
  std::set<std::string> directories;
  absl::Status status;
  // In parts, for descriptors are few.
  for (size_t begin = 0; begin < fresh.size(); begin += kSyncAtOnce) {
    std::vector<UniqueFd> files;
    for (size_t i = begin; i < std::min(fresh.size(), begin + kSyncAtOnce); ++i) {
      const std::string path = Path(fresh[i]);
      UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
      if (!fd.valid()) {
        // One that garbage collection has taken meanwhile is missed when it is looked for.
        if (errno != ENOENT) status.Update(Failed("sync", path));
        continue;
      }
      disk_->StartSync(fd.get());
      directories.insert(path.substr(0, path.rfind('/')));
      files.push_back(std::move(fd));
    }
    for (const UniqueFd& fd : files) {
      if (disk_->Sync(fd.get()) != 0) status.Update(Failed("sync the contents in", directory_));
    }
  }
  for (const std::string& directory : directories) status.Update(SyncDirectory(directory));
  if (!directories.empty()) status.Update(SyncDirectory(directory_ + "/blobs"));
  if (!status.ok()) {
    absl::MutexLock lock(&mutex_);
    unsynced_.insert(unsynced_.end(), fresh.begin(), fresh.end());
  }
  return status;
}

void BlobStore::Quarantine(const Digest& digest) {
  const std::string aside = absl::StrCat(directory_, "/quarantine/", Hex(digest));
  // It must not be found again, also where it cannot be kept to be looked at.
  if (disk_->Rename(Path(digest), aside) != 0) unlink(Path(digest).c_str());
}

bool BlobStore::Remove(const Digest& digest, int64_t before_unix_ns) {
  absl::MutexLock lock(&mutex_);
  const std::string path = Path(digest);
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return true;
  if (PutNs(status) > before_unix_ns) return false;
  return unlink(path.c_str()) == 0;
}

void BlobStore::ForEach(absl::FunctionRef<void(const Digest&, int64_t)> fn) const {
  for (const std::string& folder : NamesIn(directory_ + "/blobs")) {
    for (const std::string& name : NamesIn(absl::StrCat(directory_, "/blobs/", folder))) {
      const std::string hex = folder + name;
      struct stat status;
      if (!IsDigestName(hex)) continue;
      if (stat(absl::StrCat(directory_, "/blobs/", folder, "/", name).c_str(), &status) != 0) continue;
      const std::string bytes = absl::HexStringToBytes(hex);
      Digest digest;
      std::copy(bytes.begin(), bytes.end(), digest.sha256.begin());
      digest.size = static_cast<uint64_t>(status.st_size);
      fn(digest, PutNs(status));
    }
  }
}

absl::StatusOr<bool> BlobStore::Check(const Digest& digest) const {
  const UniqueFd fd(open(Path(digest).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return absl::NotFoundError("it is not there");
  const absl::StatusOr<Digest> found = DigestOfFile(fd.get());
  if (!found.ok()) return false;
  return *found == digest;
}

}  // namespace ocpwatch
