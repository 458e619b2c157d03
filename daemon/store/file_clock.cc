#include "daemon/store/file_clock.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <optional>

#include "daemon/ingest/unique_fd.h"
#include "daemon/store/file_stamp.h"

namespace ocpwatch {

namespace {

constexpr int kChanges = 4;
// Less than kChanges - 1 ticks take, however fast the clock ticks: 1 ms at CONFIG_HZ=1000.
constexpr int64_t kAtOnceNs = 1'000'000;
// Somebody else may have had the processor in between.
constexpr int kTries = 5;

std::optional<int64_t> ChangedNs(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return std::nullopt;
  return FileStamp::Of(status).ctime_ns;
}

// Looks and changes by turns: nothing if it took too long to tell.
std::optional<bool> Try(int fd) {
  if (!ChangedNs(fd).has_value()) return false;
  std::optional<int64_t> first;
  std::optional<int64_t> last;
  for (int i = 0; i < kChanges; ++i) {
    if (fchmod(fd, i % 2 == 0 ? 0400 : 0600) != 0) return false;
    const std::optional<int64_t> now = ChangedNs(fd);
    if (!now.has_value() || (last.has_value() && *now <= *last)) return false;
    if (!first.has_value()) first = now;
    last = now;
  }
  return *last - *first < kAtOnceNs ? std::optional<bool>(true) : std::nullopt;
}

}  // namespace

bool FileClock::StampsEachChange(const std::string& directory, uint64_t dev) {
  absl::MutexLock lock(&mutex_);
  const auto [found, fresh] = known_.try_emplace(dev, false);
  if (!fresh) return found->second;
  const UniqueFd fd(open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  struct stat status;
  if (!fd.valid() || fstat(fd.get(), &status) != 0 || status.st_dev != dev) return false;
  for (int i = 0; i < kTries; ++i) {
    if (const std::optional<bool> tells = Try(fd.get()); tells.has_value()) return found->second = *tells;
  }
  return false;
}

}  // namespace ocpwatch
