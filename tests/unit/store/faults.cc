#include "tests/unit/store/faults.h"

#include <sqlite3.h>

#include <cerrno>
#include <list>

namespace ocpwatch {

namespace {

Faults* current = nullptr;

// SQLite's methods of a file with ours in front. There are a few: for the database, for its log.
struct Methods {
  sqlite3_io_methods methods;  // First: a file has a pointer to it.
  const sqlite3_io_methods* real;
};

const sqlite3_io_methods* Real(sqlite3_file* file) { return reinterpret_cast<const Methods*>(file->pMethods)->real; }

int Code(const char* what, int failure) {
  const int error = current == nullptr ? 0 : current->Next(what);
  if (error == 0) return SQLITE_OK;
  return error == ENOSPC ? SQLITE_FULL : failure;
}

int Write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
  if (const int code = Code("database write", SQLITE_IOERR_WRITE); code != SQLITE_OK) return code;
  return Real(file)->xWrite(file, bytes, size, offset);
}

int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (const int code = Code("database truncate", SQLITE_IOERR_TRUNCATE); code != SQLITE_OK) return code;
  return Real(file)->xTruncate(file, size);
}

int Sync(sqlite3_file* file, int flags) {
  if (const int code = Code("database sync", SQLITE_IOERR_FSYNC); code != SQLITE_OK) return code;
  return Real(file)->xSync(file, flags);
}

sqlite3_vfs* real_vfs = nullptr;
sqlite3_vfs our_vfs;

int Open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  const int code = real_vfs->xOpen(real_vfs, name, file, flags, out_flags);
  if (code != SQLITE_OK) return code;
  static std::list<Methods>* const known = new std::list<Methods>;
  for (const Methods& methods : *known) {
    if (methods.real == file->pMethods) {
      file->pMethods = &methods.methods;
      return SQLITE_OK;
    }
  }
  Methods& methods = known->emplace_back(Methods{*file->pMethods, file->pMethods});
  methods.methods.xWrite = Write;
  methods.methods.xTruncate = Truncate;
  methods.methods.xSync = Sync;
  file->pMethods = &methods.methods;
  return SQLITE_OK;
}

}  // namespace

Faults::Faults() {
  current = this;
  if (real_vfs == nullptr) {
    sqlite3_initialize();
    real_vfs = sqlite3_vfs_find(nullptr);
    our_vfs = *real_vfs;
    our_vfs.zName = "faults";
    our_vfs.xOpen = Open;
  }
  sqlite3_vfs_register(&our_vfs, /*makeDflt=*/1);
}

Faults::~Faults() {
  sqlite3_vfs_register(real_vfs, /*makeDflt=*/1);
  current = nullptr;
}

void Faults::Arm(int nth, int error, bool for_good) {
  absl::MutexLock lock(&mutex_);
  left_ = nth;
  error_ = error;
  for_good_ = for_good;
  fired_ = false;
  calls_.clear();
}

std::vector<std::string> Faults::calls() {
  absl::MutexLock lock(&mutex_);
  return calls_;
}

int Faults::Next(const char* what) {
  absl::MutexLock lock(&mutex_);
  calls_.emplace_back(what);
  if (left_ == 0 || --left_ > 0) return 0;
  if (for_good_) left_ = 1;
  fired_ = true;
  return error_;
}

bool Faults::Fails(const char* what) {
  const int error = Next(what);
  if (error != 0) errno = error;
  return error != 0;
}

int Faults::Create(const std::string& path, uint32_t mode) {
  return Fails("create") ? -1 : FileSystem::Create(path, mode);
}

ssize_t Faults::Write(int fd, const void* bytes, size_t size) {
  // A full disk takes a part first.
  if (Fails("write")) {
    if (size > 1) FileSystem::Write(fd, bytes, size / 2);
    return -1;
  }
  return FileSystem::Write(fd, bytes, size);
}

int Faults::Rename(const std::string& from, const std::string& to) {
  return Fails("rename") ? -1 : FileSystem::Rename(from, to);
}

int Faults::MakeDirectory(const std::string& path) { return Fails("mkdir") ? -1 : FileSystem::MakeDirectory(path); }

int Faults::Sync(int fd) { return Fails("sync") ? -1 : FileSystem::Sync(fd); }

}  // namespace ocpwatch
