// Contents by their digest, as plain files:
//
//   <directory>/blobs/ab/cdef0123...     62 hex digits; read-only; the name says what is in it
//   <directory>/temporary/<number>       on its way in; swept when the store is opened
//   <directory>/quarantine/<name>        was found not to be what its name says
//
// A blob comes into being whole: written under a temporary name, then renamed. It is on the disk after Sync. For 50
// blobs of 20 KB on ext4: fsync of each with their directories 11 ms, with writing begun for all first 6.5 ms (what is
// done); syncfs 1.5 ms when nothing else is dirty, but 57 ms with what others had written, and it has no bound: a build
// writes its own products too.
//
// PutBytes 140-170 us for a new one (of up to 20 KB), 9 us for one that is there; Copy of 20 KB 150 us; all on ext4,
// which cannot share blocks.
//
// Thread-safe.
#ifndef OCPWATCH_DAEMON_STORE_BLOB_STORE_H_
#define OCPWATCH_DAEMON_STORE_BLOB_STORE_H_

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/store/checksums.h"
#include "daemon/store/digest.h"
#include "daemon/store/file_system.h"

namespace ocpwatch {

class BlobStore {
 public:
  BlobStore(std::string directory, FileSystem* disk) : directory_(std::move(directory)), disk_(disk) {}
  absl::Status Open();

  absl::StatusOr<Digest> PutBytes(std::string_view bytes);
  // The content of `fd` from offset 0 on: of what was written, whatever happens to the file meanwhile.
  absl::StatusOr<Digest> PutFile(int fd);
  bool Has(const Digest& digest) const;
  // Has; and it is now as young as one that was just put.
  bool Renew(const Digest& digest);
  std::string Path(const Digest& digest) const;
  // See Store::CopyBlob and ReadBlob.
  absl::Status Copy(const Digest& digest, const std::string& path, uint32_t mode);
  absl::StatusOr<std::string> Read(const Digest& digest);
  // Hands on the content, part by part; what was handed on is right only if it returns so. See Store::CheckBlob.
  absl::Status ReadChecked(const Digest& digest, absl::FunctionRef<void(std::string_view)> fn);

  // A small file of the store that is no blob: whole, or as it was.
  absl::Status WriteFile(const std::string& name, std::string_view bytes);

  // Brings what was put since the last Sync that succeeded to the disk. One at a time.
  absl::Status Sync();

  void Quarantine(const Digest& digest);
  // Leaves one that was put (or put again) after `before`, a time as files have it; false: it is still there.
  bool Remove(const Digest& digest, int64_t before_unix_ns);
  // fn(digest, when it was put or last put again). A file whose name is no digest's is skipped.
  void ForEach(absl::FunctionRef<void(const Digest&, int64_t put_unix_ns)> fn) const;
  // True: the content is what its name says. NOT_FOUND: there is none.
  absl::StatusOr<bool> Check(const Digest& digest) const;

 private:
  std::string TemporaryPath();
  absl::Status WriteAll(int fd, std::string_view bytes, const std::string& path);
  // What is in `to` in the end is what `reading` has read.
  absl::Status CopyContent(int from, int to, const std::string& path, Checksums::Reading* reading);
  absl::Status MakeDirectory(const std::string& path);
  // Renames `temporary` into its place, or drops it where the blob is there already.
  absl::Status Settle(const std::string& temporary, const Digest& digest);
  absl::Status SyncDirectory(const std::string& path);

  const std::string directory_;
  FileSystem* const disk_;
  std::atomic<uint64_t> next_temporary_{1};
  Checksums checksums_;
  absl::Mutex mutex_;  // A blob that is renewed is not removed at the same moment.
  std::vector<Digest> unsynced_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_STORE_BLOB_STORE_H_
