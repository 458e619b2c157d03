#include "daemon/build/absent_names.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>

#include "absl/time/clock.h"
#include "daemon/store/digest_cache.h"

namespace ocpwatch {

namespace {

constexpr uint64_t kXfsMagic = 0x58465342;  // Not in linux/magic.h.

absl::string_view DirectoryPart(absl::string_view path) { return path.substr(0, std::max<size_t>(1, path.rfind('/'))); }
absl::string_view NamePart(absl::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

bool AbsentNames::KeepsTimes(const std::string& directory, uint64_t dev) {
  const auto [found, fresh] = keeps_times_.try_emplace(dev, false);
  struct statfs status;
  if (fresh && statfs(directory.c_str(), &status) == 0) {
    // Network filesystems and those of other programs tell what they like, and when.
    const auto type = static_cast<uint64_t>(static_cast<uint32_t>(status.f_type));
    found->second = type == EXT4_SUPER_MAGIC || type == kXfsMagic || type == BTRFS_SUPER_MAGIC || type == TMPFS_MAGIC ||
                    type == OVERLAYFS_SUPER_MAGIC;
  }
  return found->second;
}

void AbsentNames::Look(const std::string& path, Directory* directory) {
  directory->moment = moment_;
  struct stat status;
  const bool found = stat(path.c_str(), &status) == 0;
  directory->is_absent = !found && errno == ENOENT;
  const FileStamp stamp = found && S_ISDIR(status.st_mode) ? FileStamp::Of(status) : FileStamp();
  if (directory->settled && stamp == directory->stamp) return;
  names_ -= directory->names.size();
  directory->names.clear();
  directory->stamp = stamp;
  directory->settled = stamp.ino != 0 &&
                       std::max(stamp.mtime_ns, stamp.ctime_ns) + kClockGranularityNs < absl::GetCurrentTimeNanos() &&
                       KeepsTimes(path, stamp.dev);
}

bool AbsentNames::Has(absl::string_view path) {
  const absl::string_view part = DirectoryPart(path);
  auto found = directories_.find(part);
  if (found == directories_.end()) {
    if (directories_.size() + names_ >= kMaxNames) {
      directories_.clear();
      names_ = 0;
    }
    found = directories_.emplace(std::string(part), Directory()).first;
  }
  Directory& directory = found->second;
  if (directory.moment != moment_) Look(found->first, &directory);
  return directory.is_absent || directory.names.contains(NamePart(path));
}

void AbsentNames::Add(absl::string_view path) {
  const auto found = directories_.find(DirectoryPart(path));
  if (found == directories_.end() || found->second.moment != moment_ || !found->second.settled) return;
  if (names_ < kMaxNames && found->second.names.emplace(NamePart(path)).second) ++names_;
}

}  // namespace ocpwatch
