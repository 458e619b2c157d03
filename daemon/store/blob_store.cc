#include "daemon/store/blob_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <set>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

namespace {

absl::Status Failed(const char* what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

absl::Status MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return absl::OkStatus();
  return Failed("make the directory", path);
}

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t size = write(fd, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Failed("write", path);
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  return absl::OkStatus();
}

// All of `from`, from its start, into the new file `to`.
absl::Status CopyContent(int from, int to, const std::string& path) {
  if (ioctl(to, FICLONE, from) == 0) return absl::OkStatus();
  off_t offset = 0;
  for (;;) {
    const ssize_t size = copy_file_range(from, &offset, to, nullptr, size_t{1} << 30, 0);
    if (size > 0) continue;
    if (size == 0) return absl::OkStatus();
    if (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS) break;
    return Failed("write", path);
  }
  std::string buffer(size_t{256} << 10, '\0');
  for (;;) {
    const ssize_t size = pread(from, buffer.data(), buffer.size(), offset);
    if (size < 0) return Failed("copy to", path);
    if (size == 0) return absl::OkStatus();
    if (absl::Status status = WriteAll(to, std::string_view(buffer.data(), static_cast<size_t>(size)), path);
        !status.ok())
      return status;
    offset += size;
  }
}

absl::Status SyncPath(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() || fsync(fd.get()) != 0) return Failed("sync", path);
  return absl::OkStatus();
}

}  // namespace

absl::Status BlobStore::Open() {
  for (const char* name : {"", "/blobs", "/temporary", "/quarantine"}) {
    if (absl::Status status = MakeDirectory(directory_ + name); !status.ok()) return status;
  }
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory_ + "/temporary", ignored)) {
    std::filesystem::remove(entry.path(), ignored);
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

absl::Status BlobStore::Settle(const std::string& temporary, const Digest& digest) {
  const std::string path = Path(digest);
  absl::Status status;
  if (Has(digest)) {
    utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // Young again: garbage collection leaves it alone.
    unlink(temporary.c_str());
    return absl::OkStatus();
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    status = MakeDirectory(path.substr(0, path.rfind('/')));
    if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) status = Failed("put in place", path);
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
  const Digest digest = DigestOf(bytes);
  const std::string temporary = TemporaryPath();
  if (!Has(digest)) {
    const UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400));
    if (!fd.valid()) return Failed("make", temporary);
    if (absl::Status status = WriteAll(fd.get(), bytes, temporary); !status.ok()) {
      unlink(temporary.c_str());
      return status;
    }
  }
  if (absl::Status status = Settle(temporary, digest); !status.ok()) return status;
  return digest;
}

absl::StatusOr<Digest> BlobStore::PutFile(int fd) {
  const absl::StatusOr<Digest> known = DigestOfFile(fd);
  if (!known.ok()) return known.status();
  const std::string temporary = TemporaryPath();
  if (!Has(*known)) {
    const UniqueFd copy(open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0400));
    if (!copy.valid()) return Failed("make", temporary);
    absl::Status status = CopyContent(fd, copy.get(), temporary);
    // It may have changed between the two readings.
    if (status.ok()) {
      const absl::StatusOr<Digest> copied = DigestOfFile(copy.get());
      if (!copied.ok() || *copied != *known) status = absl::FailedPreconditionError("it changes while it is read");
    }
    if (!status.ok()) {
      unlink(temporary.c_str());
      return status;
    }
  }
  if (absl::Status status = Settle(temporary, *known); !status.ok()) return status;
  return *known;
}

absl::Status BlobStore::Copy(const Digest& digest, const std::string& path, uint32_t mode) {
  const UniqueFd from(open(Path(digest).c_str(), O_RDONLY | O_CLOEXEC));
  if (!from.valid())
    return errno == ENOENT ? absl::NotFoundError("a content is not in the store any more")
                           : Failed("read", Path(digest));
  const UniqueFd to(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!to.valid()) return Failed("make", path);
  absl::Status status = CopyContent(from.get(), to.get(), path);
  if (status.ok()) {
    const absl::StatusOr<Digest> copied = DigestOfFile(to.get());
    if (!copied.ok()) {
      status = copied.status();
    } else if (*copied != digest) {
      Quarantine(digest);
      status = absl::DataLossError(absl::StrCat("the content ", Hex(digest), " is damaged"));
    }
  }
  if (status.ok() && fchmod(to.get(), mode) != 0) status = Failed("set the mode of", path);
  if (!status.ok()) unlink(path.c_str());
  return status;
}

absl::StatusOr<std::string> BlobStore::Read(const Digest& digest) {
  const std::string path = Path(digest);
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return absl::NotFoundError("a content is not in the store any more");
  std::string bytes(digest.size, '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t size = read(fd.get(), bytes.data() + done, bytes.size() - done);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    done += static_cast<size_t>(size);
  }
  if (done == bytes.size() && DigestOf(bytes) == digest) return bytes;
  Quarantine(digest);
  return absl::DataLossError(absl::StrCat("the content ", Hex(digest), " is damaged"));
}

absl::Status BlobStore::Sync() {
  std::vector<Digest> fresh;
  {
    absl::MutexLock lock(&mutex_);
    fresh.swap(unsynced_);
  }
  std::set<std::string> directories;
  absl::Status status;
  for (const Digest& digest : fresh) {
    const std::string path = Path(digest);
    directories.insert(path.substr(0, path.rfind('/')));
    // One that garbage collection has taken meanwhile is missed when it is looked for.
    if (absl::Status synced = SyncPath(path); !synced.ok() && !absl::IsNotFound(synced)) status.Update(synced);
  }
  for (const std::string& directory : directories) status.Update(SyncPath(directory));
  if (!directories.empty()) status.Update(SyncPath(directory_ + "/blobs"));
  if (!status.ok()) {
    absl::MutexLock lock(&mutex_);
    unsynced_.insert(unsynced_.end(), fresh.begin(), fresh.end());
  }
  return status;
}

void BlobStore::Quarantine(const Digest& digest) {
  rename(Path(digest).c_str(), absl::StrCat(directory_, "/quarantine/", Hex(digest)).c_str());
}

absl::Status BlobStore::Remove(const Digest& digest) {
  if (unlink(Path(digest).c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return Failed("remove", Path(digest));
}

void BlobStore::ForEach(absl::FunctionRef<void(const Digest&, int64_t)> fn) const {
  std::error_code ignored;
  const time_t now = time(nullptr);
  for (const auto& folder : std::filesystem::directory_iterator(directory_ + "/blobs", ignored)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder.path(), ignored)) {
      const std::string hex = folder.path().filename().string() + entry.path().filename().string();
      struct stat status;
      if (hex.size() != 64 || stat(entry.path().c_str(), &status) != 0) continue;
      const std::string bytes = absl::HexStringToBytes(hex);
      Digest digest;
      std::copy(bytes.begin(), bytes.end(), digest.sha256.begin());
      digest.size = static_cast<uint64_t>(status.st_size);
      fn(digest, now - status.st_mtime);
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
