#include "daemon/store/staged_names.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "daemon/store/digest.h"

namespace ocpwatch {

namespace {

constexpr std::string_view kPrefix = ".ocp-watch-";
constexpr uint64_t kLongList = uint64_t{64} << 10;  // Some 700 names: read in no time, seldom begun anew.

void Sweep(const std::string& list) {
  const std::vector<std::string> names = absl::StrSplit(list, '\0', absl::SkipEmpty());
  for (const std::string& name : names) {
    const size_t slash = name.rfind('/');
    if (slash != std::string::npos && StagedNames::IsStaged(std::string_view(name).substr(slash + 1))) {
      unlink(name.c_str());
    }
  }
}

bool IsNumber(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

bool StagedNames::IsStaged(std::string_view name) {
  if (!name.starts_with(kPrefix)) return false;
  name.remove_prefix(kPrefix.size());
  const size_t dash = name.find('-');
  return dash != std::string_view::npos && IsNumber(name.substr(0, dash)) && IsNumber(name.substr(dash + 1));
}

absl::Status StagedNames::Open(const std::string& path, FileSystem* disk) {
  absl::MutexLock lock(&mutex_);
  disk_ = disk;
  if (const UniqueFd before(open(path.c_str(), O_RDONLY | O_CLOEXEC)); before.valid()) {
    std::string list;
    absl::Status read = ReadParts(before.get(), [&](std::string_view part) {
      list.append(part);
      return absl::OkStatus();
    });
    if (!read.ok()) return read;
    Sweep(list);
    unlink(path.c_str());
  }
  list_.reset(disk_->Create(path, 0600));
  if (!list_.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
  return absl::OkStatus();
}

StagedNames::Batch::Batch(StagedNames* names) : names_(*names) {
  absl::MutexLock lock(&names_.mutex_);
  ++names_.batches_;
}

StagedNames::Batch::~Batch() {
  absl::MutexLock lock(&names_.mutex_);
  if (--names_.batches_ > 0 || names_.size_ <= kLongList) return;
  if (ftruncate(names_.list_.get(), 0) != 0 || lseek(names_.list_.get(), 0, SEEK_SET) != 0) return;
  names_.size_ = 0;
}

absl::StatusOr<std::string> StagedNames::Batch::NameIn(const std::string& directory) {
  absl::MutexLock lock(&names_.mutex_);
  std::string name =
      absl::StrCat(directory == "/" ? "" : directory, "/", kPrefix.data(), getpid(), "-", names_.next_++);
  std::string entry(1, '\0');  // What a write that failed half way has left ends here.
  absl::StrAppend(&entry, name, std::string(1, '\0'));
  const ssize_t size = names_.disk_->Write(names_.list_.get(), entry.data(), entry.size());
  if (size != static_cast<ssize_t>(entry.size())) {
    if (size >= 0) errno = ENOSPC;
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write down ", name));
  }
  names_.size_ += entry.size();
  return name;
}

}  // namespace ocpwatch
