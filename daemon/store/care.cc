// What keeps the store small and sound: statistics, garbage collection, verification.
#include <algorithm>
#include <ctime>
#include <limits>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/store/disk_store.h"

namespace ocpwatch {

namespace {

constexpr int64_t kHoweverYoung = std::numeric_limits<int64_t>::max();
// Files get their times from a clock that goes in ticks of up to 10 ms.
constexpr int64_t kFileClockLagNs = 20'000'000;
constexpr int64_t kDayNs = 86'400'000'000'000;

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
  reply.set_record_bytes(table_->record_bytes());
  reply.set_hits(static_cast<uint64_t>(table_->counter("hits")));
  reply.set_misses(static_cast<uint64_t>(table_->counter("misses")));
  reply.set_stored(static_cast<uint64_t>(table_->counter("stored")));
  reply.set_saved_ns(table_->counter("saved"));
  reply.set_builds(static_cast<uint64_t>(table_->counter("builds")));
  reply.set_whole_hits(static_cast<uint64_t>(table_->counter("whole")));
  return reply;
}

std::shared_ptr<const void> DiskStore::Use() {
  const int64_t since = absl::GetCurrentTimeNanos();
  absl::MutexLock lock(&uses_mutex_);
  uses_.insert(since);
  return {nullptr, [this, since](const void*) {
            absl::MutexLock unlock(&uses_mutex_);
            uses_.erase(uses_.find(since));
          }};
}

int64_t DiskStore::UnusedSince() {
  absl::MutexLock lock(&uses_mutex_);
  return (uses_.empty() ? absl::GetCurrentTimeNanos() : *uses_.begin()) - kFileClockLagNs;
}

absl::StatusOr<v1::CollectGarbageReply> DiskStore::CollectGarbage(const StoreLimits& limits, bool dry_run) {
  absl::MutexLock one(&commit_mutex_);
  // Then the database has all; what is put from here on has young blobs.
  const int64_t unused_since = UnusedSince();
  if (absl::Status status = CommitAll(); !status.ok()) return status;
  absl::flat_hash_map<Digest, int64_t> put;
  uint64_t total = 0;
  blobs_.ForEach([&](const Digest& digest, int64_t put_ns) {
    put[digest] = put_ns;
    total += digest.size;
  });
  struct Candidate {
    uint64_t id;
    int64_t used;
    uint64_t bytes;
    std::vector<Digest> blobs;
  };
  std::vector<Candidate> candidates;             // The least recently used first.
  absl::flat_hash_map<Digest, uint32_t> wanted;  // By how many actions.
  absl::Status status = rows_->ForEach([&](uint64_t id, int64_t used, uint64_t bytes, const v1::ActionRecord* record) {
    Candidate& candidate = candidates.emplace_back(Candidate{id, used, bytes, {}});
    total += bytes;
    if (record == nullptr) return;
    ForEachBlob(*record, [&](const Digest& digest) {
      candidate.blobs.push_back(digest);
      ++wanted[digest];
    });
  });
  if (!status.ok()) return status;

  uint64_t freed = 0;
  std::vector<Digest> released;
  const auto release = [&](const Digest& digest) {
    const auto found = put.find(digest);
    if (found == put.end() || found->second > unused_since) return;
    freed += digest.size;
    released.push_back(digest);
  };
  for (const auto& [digest, put_ns] : put) {
    if (!wanted.contains(digest)) release(digest);
  }
  v1::CollectGarbageReply reply;
  const int64_t now = int64_t{time(nullptr)} * 1'000'000'000;
  for (const Candidate& candidate : candidates) {
    const bool old = limits.max_age_days != 0 && now - candidate.used > limits.max_age_days * kDayNs;
    const bool large = limits.max_bytes != 0 && total - freed > limits.max_bytes;
    if (!old && !large) break;
    if (!dry_run) {
      absl::MutexLock lock(&mutex_);
      if (!table_->ForgetUnused(candidate.id, candidate.used)) continue;  // Used just now.
    }
    freed += candidate.bytes;
    reply.set_removed_actions(reply.removed_actions() + 1);
    for (const Digest& digest : candidate.blobs) {
      if (--wanted[digest] == 0) release(digest);
    }
  }
  if (!dry_run) {
    // The records go before their blobs.
    if (status = CommitAll(); !status.ok()) return status;
    std::erase_if(released, [&](const Digest& digest) {
      if (blobs_.Remove(digest, unused_since)) return false;
      freed -= digest.size;  // It was put again meanwhile.
      return true;
    });
    if (status = rows_->Shrink(); !status.ok()) return status;
  }
  reply.set_removed_blobs(released.size());
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
  absl::MutexLock one(&commit_mutex_);
  if (absl::Status status = CommitAll(); !status.ok()) return status;
  std::vector<uint64_t> lost;
  absl::Status status = rows_->ForEach([&](uint64_t id, int64_t, uint64_t, const v1::ActionRecord* record) {
    uint64_t missing = 0;
    if (record != nullptr) {
      ForEachBlob(*record, [&](const Digest& digest) { missing += blobs_.Has(digest) ? 0 : 1; });
    }
    if (record != nullptr && missing == 0) return;
    reply.set_missing(reply.missing() + missing);
    reply.set_removed_actions(reply.removed_actions() + 1);
    lost.push_back(id);
  });
  if (!status.ok()) return status;
  {
    absl::MutexLock lock(&mutex_);
    for (const uint64_t id : lost) table_->Forget(id);
  }
  if (status = CommitAll(); !status.ok()) return status;
  return reply;
}

absl::StatusOr<v1::ClearReply> DiskStore::Clear() {
  v1::ClearReply reply;
  absl::MutexLock one(&commit_mutex_);
  {
    absl::MutexLock lock(&mutex_);
    reply.set_removed_actions(table_->size());
    reply.set_freed_bytes(table_->record_bytes());
    table_->ForgetAll();
  }
  if (absl::Status status = CommitAll(); !status.ok()) return status;
  // A command that runs may just have put one; it will be missed when it is wanted.
  std::vector<Digest> blobs;
  blobs_.ForEach([&](const Digest& digest, int64_t) { blobs.push_back(digest); });
  for (const Digest& digest : blobs) {
    if (!blobs_.Remove(digest, kHoweverYoung)) return absl::UnavailableError("a content cannot be removed");
    reply.set_freed_bytes(reply.freed_bytes() + digest.size);
  }
  if (absl::Status status = rows_->Shrink(); !status.ok()) return status;
  return reply;
}

}  // namespace ocpwatch
