// What keeps the store small and sound: statistics, garbage collection, verification.
#include <algorithm>
#include <ctime>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "daemon/store/disk_store.h"

namespace ocpwatch {

namespace {

// A blob this young may belong to an action that has not been put yet: one of a command that runs.
constexpr int64_t kYoungSeconds = 3600;

template <typename Fn>
void ForEachBlob(const v1::ActionRecord& record, Fn fn) {
  for (const v1::Effect& effect : record.effects()) {
    if (effect.type() == v1::FILE_REGULAR) fn(FromProto(effect.digest()));
  }
  for (const v1::Output& output : record.outputs()) fn(FromProto(output.digest()));
}

}  // namespace

v1::StatsReply DiskStore::Stats() {
  v1::StatsReply reply;
  uint64_t blobs = 0;
  uint64_t bytes = 0;
  blobs_.ForEach([&](const Digest& digest, int64_t) {
    ++blobs;
    bytes += digest.size;
  });
  reply.set_blobs(blobs);
  reply.set_blob_bytes(bytes);
  reply.set_digests(digests_.size());
  reply.set_digest_hits(digests_.hits());
  reply.set_digest_misses(digests_.misses());
  reply.set_directory(directory_);
  absl::MutexLock lock(&mutex_);
  reply.set_actions(table_->size());
  reply.set_hits(static_cast<uint64_t>(table_->counter("hits")));
  reply.set_misses(static_cast<uint64_t>(table_->counter("misses")));
  reply.set_stored(static_cast<uint64_t>(table_->counter("stored")));
  reply.set_saved_ns(table_->counter("saved"));
  reply.set_builds(static_cast<uint64_t>(table_->counter("builds")));
  reply.set_whole_hits(static_cast<uint64_t>(table_->counter("whole")));
  return reply;
}

absl::StatusOr<v1::CollectGarbageReply> DiskStore::CollectGarbage(const StoreLimits& limits, bool dry_run) {
  absl::MutexLock one(&commit_mutex_);
  v1::CollectGarbageReply reply;
  absl::flat_hash_map<Digest, int64_t> ages;
  uint64_t total = 0;
  blobs_.ForEach([&](const Digest& digest, int64_t age) {
    ages[digest] = age;
    total += digest.size;
  });
  absl::flat_hash_map<Digest, uint32_t> wanted;  // By how many actions.
  uint64_t freed = 0;
  uint64_t blobs = 0;
  const auto release = [&](const Digest& digest) {
    const auto age = ages.find(digest);
    if (age == ages.end() || age->second < kYoungSeconds) return;
    freed += digest.size;
    ++blobs;
    if (!dry_run) blobs_.Remove(digest).IgnoreError();
    ages.erase(age);
  };
  {
    absl::MutexLock lock(&mutex_);
    const auto by_use = table_->ByUse();
    for (const auto& [id, used] : by_use) {
      if (const ActionPtr action = table_->Load(id)) {
        ForEachBlob(action->record, [&](const Digest& digest) { ++wanted[digest]; });
      }
    }
    // First what no action names.
    std::vector<Digest> unwanted;
    for (const auto& [digest, age] : ages) {
      if (!wanted.contains(digest)) unwanted.push_back(digest);
    }
    for (const Digest& digest : unwanted) release(digest);
    const int64_t now = int64_t{time(nullptr)} * 1'000'000'000;
    for (const auto& [id, used] : by_use) {
      const bool old = limits.max_age_days != 0 && now - used > int64_t{limits.max_age_days} * 86'400'000'000'000;
      const bool large = limits.max_bytes != 0 && total - freed > limits.max_bytes;
      if (!old && !large) break;
      const ActionPtr action = table_->Load(id);
      reply.set_removed_actions(reply.removed_actions() + 1);
      if (action != nullptr) {
        ForEachBlob(action->record, [&](const Digest& digest) {
          if (--wanted[digest] == 0) release(digest);
        });
      }
      if (!dry_run) table_->Forget(id);
    }
    commit_soon_ = true;
  }
  reply.set_removed_blobs(blobs);
  reply.set_freed_bytes(freed);
  reply.set_kept_bytes(total - freed);
  return reply;
}

absl::StatusOr<v1::VerifyReply> DiskStore::Verify() {
  v1::VerifyReply reply;
  std::vector<Digest> blobs;
  blobs_.ForEach([&](const Digest& digest, int64_t) { blobs.push_back(digest); });
  for (const Digest& digest : blobs) {
    const absl::StatusOr<bool> sound = blobs_.Check(digest);
    if (!sound.ok()) continue;  // Collected meanwhile.
    reply.set_blobs(reply.blobs() + 1);
    reply.set_bytes(reply.bytes() + digest.size);
    if (*sound) continue;
    blobs_.Quarantine(digest);
    reply.set_damaged(reply.damaged() + 1);
    reply.add_notes(absl::StrCat("the content ", Hex(digest), " was damaged and is in quarantine"));
  }
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, used] : table_->ByUse()) {
    const ActionPtr action = table_->Load(id);
    uint64_t missing = 0;
    if (action != nullptr) {
      ForEachBlob(action->record, [&](const Digest& digest) { missing += blobs_.Has(digest) ? 0 : 1; });
    }
    if (action != nullptr && missing == 0) continue;
    reply.set_missing(reply.missing() + missing);
    reply.set_removed_actions(reply.removed_actions() + 1);
    table_->Forget(id);
  }
  commit_soon_ = true;
  return reply;
}

absl::StatusOr<v1::ClearReply> DiskStore::Clear() {
  v1::ClearReply reply;
  {
    absl::MutexLock lock(&mutex_);
    reply.set_removed_actions(table_->size());
    table_->Clear();
  }
  if (absl::Status status = Commit(); !status.ok()) return status;
  // A command that runs may just have put one; it will be missed when it is wanted.
  std::vector<Digest> blobs;
  blobs_.ForEach([&](const Digest& digest, int64_t) { blobs.push_back(digest); });
  for (const Digest& digest : blobs) {
    if (absl::Status status = blobs_.Remove(digest); !status.ok()) return status;
    reply.set_freed_bytes(reply.freed_bytes() + digest.size);
  }
  return reply;
}

}  // namespace ocpwatch
