// The figures in the store's headers: store_test "[benchmark]".
#include <chrono>
#include <cstdio>
#include <thread>

#include "tests/unit/store/store_world.h"

namespace ocpwatch {
namespace {

template <typename Fn>
void Measure(const char* what, int times, Fn fn) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) fn(i);
  const std::chrono::duration<double, std::micro> taken = std::chrono::steady_clock::now() - start;
  printf("%-56s %9.2f us\n", what, taken.count() / times);
}

v1::ActionRecord Large(int number) {
  v1::ActionRecord record = Record("n" + std::to_string(number), "/w/in", std::to_string(number), "/w/out", {});
  for (int i = 0; i < 499; ++i) {
    v1::Observation& observation = *record.add_observations();
    observation = record.observations(0);
    observation.set_path("/usr/include/some/longer/directory/header-" + std::to_string(i) + ".h");
  }
  return record;
}

TEST_CASE("what the store's parts cost", "[.][benchmark]") {
  const StoreWorld world;
  printf("record of 500 observations: %zu bytes, %zu parsed\n", Large(0).ByteSizeLong(), Large(0).SpaceUsedLong());
  {
    const auto store = world.Open();
    Measure("PutBytes, new, 100 bytes", 1000,
            [&](int i) { REQUIRE(store->PutBytes(std::to_string(i) + std::string(100, 'x')).ok()); });
    Measure("PutBytes, there already", 1000,
            [&](int i) { REQUIRE(store->PutBytes(std::to_string(i) + std::string(100, 'x')).ok()); });
    Measure("PutBytes, new, 20 KB", 1000,
            [&](int i) { REQUIRE(store->PutBytes(std::to_string(i) + std::string(20'000, 'x')).ok()); });
    Measure("CopyBlob, 20 KB", 1000, [&](int i) {
      const Digest digest = DigestOf(std::to_string(i) + std::string(20'000, 'x'));
      REQUIRE(store->CopyBlob(digest, world.Path("copy" + std::to_string(i)), 0644).ok());
    });
    StagedNames::Batch batch(store->staged_names());
    Measure("a staged name", 1000, [&](int) { REQUIRE(batch.NameIn(world.directory()).ok()); });
    REQUIRE(store->Commit().ok());
    for (int i = 0; i < 50; ++i) store->PutBytes(std::to_string(i) + std::string(20'000, 'z')).IgnoreError();
    Measure("Commit of 50 contents of 20 KB", 1, [&](int) { REQUIRE(store->Commit().ok()); });
    std::vector<v1::ActionRecord> records;
    records.reserve(400);
    for (int i = 0; i < 400; ++i) records.push_back(Large(i % 200));
    const auto put = [&](int i) { REQUIRE(store->Put(std::move(records[static_cast<size_t>(i)])).ok()); };
    Measure("Put, record of 500 observations", 200, put);
    Measure("Put, the second of its fingerprint", 200, [&](int i) { put(200 + i); });
    Measure("Commit of 200 records of 500 observations", 1, [&](int) { REQUIRE(store->Commit().ok()); });
    Measure("ForEachReader of none, among 200 such", 100,
            [&](int) { store->ForEachReader({"/w/none"}, [](const StoredAction&) { return true; }); });
    Measure("Find, parsed", 100'000,
            [&](int i) { REQUIRE(Find(*store, "n" + std::to_string(199 - i % 20)).size() == 1); });
    const std::string path = world.Write("file", "one");
    const FileStamp stamp = StampOf(path);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    Measure("DigestOfPath, known", 100'000, [&](int) { store->DigestOfPath(path, stamp, false).IgnoreError(); });
  }
  std::unique_ptr<DiskStore> store;
  Measure("Open with 200 such records", 1, [&](int) { store = world.Open(); });
  Measure("Find, not parsed yet", 200, [&](int i) { REQUIRE(Find(*store, "n" + std::to_string(i)).size() == 1); });
}

}  // namespace
}  // namespace ocpwatch
