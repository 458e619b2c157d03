// Whether a blob is still what its name says, each time that one is put in place: by SHA-256 only the first time.
//
// To check by SHA-256 what a build of redis puts back after a clean took 13 % of the daemon's time for it. Of a content
// that had the right digest once in the daemon's life its XXH3 (128 bits) is known from then on, and that is asked for
// instead: 14 GB/s where SHA-256 does 1.6. It finds damage, and damage is looked for: who could forge a blob writes as
// this user, into files as well.
//
// About 80 bytes for each content. Thread-safe.
#ifndef OCPWATCH_DAEMON_STORE_CHECKSUMS_H_
#define OCPWATCH_DAEMON_STORE_CHECKSUMS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "daemon/store/digest.h"

struct XXH3_state_s;

namespace ocpwatch {

class Checksums {
  struct Sum {
    uint64_t low = 0;
    uint64_t high = 0;
    friend bool operator==(const Sum&, const Sum&) = default;
  };

 public:
  // Reads one content, part by part. Not thread-safe; `checksums` outlives it.
  class Reading {
   public:
    // `expected`: what it should be.
    Reading(Checksums* checksums, const Digest& expected);
    explicit Reading(Checksums* checksums);
    void Add(std::string_view part);
    // What it is, once all of it was added. Where it is not what it should be, that may be a digest that nothing has.
    Digest Finish();

   private:
    Checksums& checksums_;
    Digest expected_;
    std::optional<Sum> known_;  // Of the one expected.
    Hasher hasher_;             // Not used where `known_` is.
    std::unique_ptr<XXH3_state_s, void (*)(XXH3_state_s*)> sum_;
    uint64_t size_ = 0;
  };

 private:
  // 16 MB; then it begins anew.
  static constexpr size_t kMaxContents = 200'000;

  std::optional<Sum> Find(const Digest& digest);
  void Remember(const Digest& digest, const Sum& sum);

  absl::Mutex mutex_;
  absl::flat_hash_map<Digest, Sum> sums_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_STORE_CHECKSUMS_H_
