#include "daemon/build/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

namespace ocpwatch {
namespace {

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return true;
}

// Without a name from the start, so that nothing stays behind whatever happens to us. Not O_TMPFILE, which not every
// file system has.
UniqueFd NamelessFile(const std::string& directory) {
  std::string path = directory + "/output-XXXXXX";
  UniqueFd fd(mkostemp(path.data(), O_CLOEXEC));
  if (fd.valid()) unlink(path.c_str());
  return fd;
}

}  // namespace

void Recording::Append(std::string_view bytes) {
  if (!whole_) return;
  size_ += bytes.size();
  if (!file_.valid() && bytes_.size() + bytes.size() <= kMaxRecordingInMemory) {
    bytes_.append(bytes);
    return;
  }
  if (size_ <= kMaxRecording && Spill(bytes)) return;
  GiveUp();
}

void Recording::GiveUp() {
  whole_ = false;
  bytes_ = std::string();
  file_.reset();
}

bool Recording::Spill(std::string_view bytes) {
  if (!file_.valid()) {
    file_ = NamelessFile(directory_);
    if (!file_.valid() || !WriteAll(file_.get(), bytes_)) return false;
    bytes_ = std::string();
  }
  return WriteAll(file_.get(), bytes);
}

}  // namespace ocpwatch
