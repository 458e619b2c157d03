#include "daemon/store/checksums.h"

#include <xxhash.h>

namespace ocpwatch {

Checksums::Reading::Reading(Checksums* checksums)
    : checksums_(*checksums), sum_(XXH3_createState(), [](XXH3_state_s* state) { XXH3_freeState(state); }) {
  XXH3_128bits_reset(sum_.get());
}

Checksums::Reading::Reading(Checksums* checksums, const Digest& expected) : Reading(checksums) {
  expected_ = expected;
  known_ = checksums_.Find(expected);
}

void Checksums::Reading::Add(std::string_view part) {
  if (!known_.has_value()) hasher_.Add(part);
  XXH3_128bits_update(sum_.get(), part.data(), part.size());
  size_ += part.size();
}

Digest Checksums::Reading::Finish() {
  const XXH128_hash_t hash = XXH3_128bits_digest(sum_.get());
  const Sum sum = {hash.low64, hash.high64};
  if (known_.has_value()) return sum == *known_ && size_ == expected_.size ? expected_ : Digest{.size = size_};
  const Digest digest = hasher_.Finish();
  checksums_.Remember(digest, sum);
  return digest;
}

std::optional<Checksums::Sum> Checksums::Find(const Digest& digest) {
  absl::MutexLock lock(&mutex_);
  const auto found = sums_.find(digest);
  return found == sums_.end() ? std::nullopt : std::optional<Sum>(found->second);
}

void Checksums::Remember(const Digest& digest, const Sum& sum) {
  absl::MutexLock lock(&mutex_);
  if (sums_.size() >= kMaxContents) sums_.clear();
  sums_[digest] = sum;
}

}  // namespace ocpwatch
