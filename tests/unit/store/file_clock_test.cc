#include "daemon/store/file_clock.h"

#include "tests/unit/store/store_world.h"

namespace ocpwatch {
namespace {

TEST_CASE("a file system that is said to stamp each change does so") {
  const StoreWorld world;
  const std::string path = world.Write("file", "one");
  FileClock clock;
  if (!clock.StampsEachChange(world.Path(""), StampOf(path).dev)) return;  // A kernel before 6.13.
  for (int i = 0; i < 1000; ++i) {
    const FileStamp before = StampOf(path);
    world.Write("file", i % 2 == 0 ? "two" : "one");
    REQUIRE_FALSE(StampOf(path) == before);
  }
}

TEST_CASE("of a file system that cannot be tried nothing is believed") {
  FileClock clock;
  CHECK_FALSE(clock.StampsEachChange("/proc/self", 1));
  CHECK_FALSE(clock.StampsEachChange("/none", 2));
  const StoreWorld world;
  CHECK_FALSE(clock.StampsEachChange(world.Path(""), 3));  // On another one.
}

TEST_CASE("a change is seen however soon it follows the keeping of a digest") {
  const StoreWorld world;
  const auto store = world.Open();
  for (int i = 0; i < 200; ++i) {
    const std::string content = std::to_string(1000 + i);
    const std::string path = world.Write("file", content);
    REQUIRE(*store->DigestOfPath(path, StampOf(path), /*keep=*/i % 2 == 0) == DigestOf(content));
    store->NoteDigest(path, StampOf(path), DigestOf(content));
  }
}

}  // namespace
}  // namespace ocpwatch
