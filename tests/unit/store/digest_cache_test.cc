#include "daemon/store/digest_cache.h"

#include <chrono>
#include <thread>

#include "tests/unit/store/store_world.h"

namespace ocpwatch {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

FileStamp Stamp(int64_t mtime_ns) {
  return {.dev = 1, .ino = 2, .mode = 0100644, .size = 3, .mtime_ns = mtime_ns, .ctime_ns = mtime_ns};
}

TEST_CASE("a digest is believed only for the very same status") {
  DigestCache cache;
  const FileStamp stamp = Stamp(kSecond);
  cache.Insert("/a", stamp, DigestOf("a"), 9 * kSecond);
  CHECK(cache.Find("/a", stamp) == DigestOf("a"));
  CHECK(!cache.Find("/b", stamp).has_value());
  for (const auto change :
       {+[](FileStamp& s) { ++s.dev; }, +[](FileStamp& s) { ++s.ino; }, +[](FileStamp& s) { ++s.size; },
        +[](FileStamp& s) { ++s.mtime_ns; }, +[](FileStamp& s) { ++s.ctime_ns; }}) {
    FileStamp other = stamp;
    change(other);
    CHECK(!cache.Find("/a", other).has_value());
  }
}

TEST_CASE("a file changed within the clock's granularity of its hashing is hashed again") {
  DigestCache cache;
  cache.Insert("/young", Stamp(kSecond), DigestOf("a"), kSecond + kClockGranularityNs);
  CHECK(!cache.Find("/young", Stamp(kSecond)).has_value());
  cache.Insert("/old enough", Stamp(kSecond), DigestOf("a"), kSecond + kClockGranularityNs + 1);
  CHECK(cache.Find("/old enough", Stamp(kSecond)).has_value());
  // An old mtime can be set by anybody; ctime counts too. So does a time in the future.
  FileStamp set_back = Stamp(kSecond);
  set_back.ctime_ns = 5 * kSecond;
  cache.Insert("/set back", set_back, DigestOf("a"), 5 * kSecond + 1);
  CHECK(!cache.Find("/set back", set_back).has_value());
  cache.Insert("/future", Stamp(99 * kSecond), DigestOf("a"), 5 * kSecond);
  CHECK(!cache.Find("/future", Stamp(99 * kSecond)).has_value());
}

TEST_CASE("of a file that was just written the store keeps no digest, a moment later it does") {
  const StoreWorld world;
  const auto store = world.Open();
  const std::string path = world.Write("file", "one");
  const FileStamp stamp = StampOf(path);
  CHECK(*store->DigestOfPath(path, stamp, false) == DigestOf("one"));
  CHECK(!store->KnownDigest(path, stamp).has_value());
  std::this_thread::sleep_for(std::chrono::nanoseconds(2 * kClockGranularityNs));
  CHECK(*store->DigestOfPath(path, stamp, false) == DigestOf("one"));
  CHECK(store->KnownDigest(path, stamp) == DigestOf("one"));
}

TEST_CASE("a file that is not what its status was is not hashed") {
  const StoreWorld world;
  const auto store = world.Open();
  const std::string path = world.Write("file", "one");
  FileStamp stamp = StampOf(path);
  ++stamp.mtime_ns;
  CHECK(absl::IsFailedPrecondition(store->DigestOfPath(path, stamp, true).status()));
  CHECK(absl::IsNotFound(store->DigestOfPath(world.Path("none"), stamp, true).status()));
}

TEST_CASE("digests outlive the daemon") {
  const StoreWorld world;
  const std::string path = world.Write("file", "one");
  const FileStamp stamp = StampOf(path);
  std::this_thread::sleep_for(std::chrono::nanoseconds(2 * kClockGranularityNs));
  CHECK(world.Open()->DigestOfPath(path, stamp, false).ok());
  CHECK(world.Open()->KnownDigest(path, stamp) == DigestOf("one"));
}

TEST_CASE("the cache stays within its bound and keeps what is asked for") {
  DigestCache cache(/*max_young=*/10);
  cache.Insert("/used", Stamp(1), DigestOf("a"), kSecond);
  for (int i = 0; i < 100; ++i) {
    cache.Insert("/temporary/" + std::to_string(i), Stamp(1), DigestOf("t"), kSecond);
    CHECK(cache.Find("/used", Stamp(1)).has_value());
    CHECK(cache.size() <= 20);
  }
  CHECK(!cache.Find("/temporary/1", Stamp(1)).has_value());
  // What is in the database is replaced by what is left.
  const DigestCache::Fresh fresh = cache.TakeFresh();
  CHECK(fresh.anew);
  CHECK(fresh.entries.size() <= 20);
  CHECK(cache.TakeFresh().entries.empty());
}

}  // namespace
}  // namespace ocpwatch
