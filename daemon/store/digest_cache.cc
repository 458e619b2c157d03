#include "daemon/store/digest_cache.h"

#include <algorithm>
#include <utility>

namespace ocpwatch {

std::optional<Digest> DigestCache::Find(const std::string& path, const FileStamp& stamp) {
  absl::MutexLock lock(&mutex_);
  auto found = young_.find(path);
  const bool is_old = found == young_.end();
  if (is_old) found = old_.find(path);
  if (found == (is_old ? old_.end() : young_.end()) || found->second.stamp != stamp) {
    ++misses_;
    return std::nullopt;
  }
  ++hits_;
  const Entry entry = found->second;
  if (is_old) Young(path) = entry;
  return entry.digest;
}

DigestCache::Entry& DigestCache::Young(const std::string& path) {
  if (young_.size() >= max_young_ && !young_.contains(path)) {
    old_ = std::exchange(young_, {});
    fresh_.clear();
    anew_ = true;
  }
  return young_[path];
}

void DigestCache::Insert(const std::string& path, const FileStamp& stamp, const Digest& digest, int64_t now_ns) {
  if (std::max(stamp.mtime_ns, stamp.ctime_ns) + kClockGranularityNs >= now_ns) return;
  absl::MutexLock lock(&mutex_);
  Young(path) = {stamp, digest};
  fresh_.insert(path);
}

void DigestCache::Restore(const std::string& path, const Entry& entry) {
  absl::MutexLock lock(&mutex_);
  if (old_.size() < max_young_) old_.try_emplace(path, entry);
}

DigestCache::Fresh DigestCache::TakeFresh() {
  absl::MutexLock lock(&mutex_);
  Fresh fresh;
  fresh.anew = std::exchange(anew_, false);
  if (fresh.anew) {
    fresh.entries.assign(old_.begin(), old_.end());
    fresh.entries.insert(fresh.entries.end(), young_.begin(), young_.end());
  } else {
    fresh.entries.reserve(fresh_.size());
    for (const std::string& path : fresh_) fresh.entries.emplace_back(path, young_[path]);
  }
  fresh_.clear();
  return fresh;
}

void DigestCache::PutBack(const Fresh& fresh) {
  absl::MutexLock lock(&mutex_);
  anew_ = anew_ || fresh.anew;
  for (const auto& [path, entry] : fresh.entries) {
    if (young_.contains(path)) fresh_.insert(path);
  }
}

void DigestCache::Clear() {
  absl::MutexLock lock(&mutex_);
  young_.clear();
  old_.clear();
  fresh_.clear();
  anew_ = true;
}

size_t DigestCache::size() const {
  absl::MutexLock lock(&mutex_);
  size_t size = young_.size();
  for (const auto& [path, entry] : old_) size += young_.contains(path) ? 0 : 1;
  return size;
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
