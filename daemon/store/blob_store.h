// Contents by their digest, as plain files:
//
//   <directory>/blobs/ab/cdef0123...     62 hex digits; read-only; the name says what is in it
//   <directory>/temporary/<number>       on its way in; swept when the store is opened
//   <directory>/quarantine/<name>        was found not to be what its name says
//
// A blob comes into being whole: written under a temporary name, then renamed. It is on the disk after Sync.
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
#include "daemon/store/digest.h"

namespace ocpwatch {

class BlobStore {
 public:
  explicit BlobStore(std::string directory) : directory_(std::move(directory)) {}
  absl::Status Open();

  absl::StatusOr<Digest> PutBytes(std::string_view bytes);
  // The content of `fd` from offset 0 on.
  absl::StatusOr<Digest> PutFile(int fd);
  bool Has(const Digest& digest) const;
  std::string Path(const Digest& digest) const;
  // See Store::CopyBlob and ReadBlob.
  absl::Status Copy(const Digest& digest, const std::string& path, uint32_t mode);
  absl::StatusOr<std::string> Read(const Digest& digest);

  // Brings what was put since the last Sync to the disk: a sync for each blob, at some time when nobody waits.
  absl::Status Sync();

  void Quarantine(const Digest& digest);
  absl::Status Remove(const Digest& digest);
  // fn(digest, size of the file, seconds since it was put or last put again). A file whose name is no digest's is
  // skipped.
  void ForEach(absl::FunctionRef<void(const Digest&, int64_t age_seconds)> fn) const;
  // True: the content is what its name says. NOT_FOUND: there is none.
  absl::StatusOr<bool> Check(const Digest& digest) const;

 private:
  std::string TemporaryPath();
  // Renames `temporary` into its place, or drops it where the blob is there already.
  absl::Status Settle(const std::string& temporary, const Digest& digest);

  const std::string directory_;
  std::atomic<uint64_t> next_temporary_{1};
  absl::Mutex mutex_;
  std::vector<Digest> unsynced_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_STORE_BLOB_STORE_H_
