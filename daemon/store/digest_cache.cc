#include "daemon/store/digest_cache.h"

#include <algorithm>

namespace ocpwatch {

std::optional<Digest> DigestCache::Find(const std::string& path, const FileStamp& stamp) {
  absl::MutexLock lock(&mutex_);
  const auto found = entries_.find(path);
  if (found != entries_.end() && found->second.stamp == stamp) {
    ++hits_;
    return found->second.digest;
  }
  ++misses_;
  return std::nullopt;
}

void DigestCache::Insert(const std::string& path, const FileStamp& stamp, const Digest& digest, int64_t now_ns) {
  if (std::max(stamp.mtime_ns, stamp.ctime_ns) + kClockGranularityNs >= now_ns) return;
  absl::MutexLock lock(&mutex_);
  if (entries_.size() >= kMaxDigests) {
    entries_.clear();
    fresh_.clear();
  }
  entries_[path] = {stamp, digest};
  fresh_.insert(path);
}

void DigestCache::Restore(const std::string& path, const Entry& entry) {
  absl::MutexLock lock(&mutex_);
  entries_.try_emplace(path, entry);
}

std::vector<std::pair<std::string, DigestCache::Entry>> DigestCache::TakeFresh() {
  absl::MutexLock lock(&mutex_);
  std::vector<std::pair<std::string, Entry>> fresh;
  fresh.reserve(fresh_.size());
  for (const std::string& path : fresh_) fresh.emplace_back(path, entries_[path]);
  fresh_.clear();
  return fresh;
}

void DigestCache::Clear() {
  absl::MutexLock lock(&mutex_);
  entries_.clear();
  fresh_.clear();
}

size_t DigestCache::size() const {
  absl::MutexLock lock(&mutex_);
  return entries_.size();
}

uint64_t DigestCache::hits() const {
  absl::MutexLock lock(&mutex_);
  return hits_;
}

uint64_t DigestCache::misses() const {
  absl::MutexLock lock(&mutex_);
  return misses_;
}

}  // namespace ocpwatch
