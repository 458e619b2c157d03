#include <thread>

#include "absl/time/clock.h"

#include "tests/unit/store/store_world.h"

namespace ocpwatch {
namespace {

std::string Content(const std::string& name) { return name + std::string(100'000, 'x'); }

// Actions of these names, each with 100 KB of content that was put long ago; the first was used first.
std::unique_ptr<DiskStore> StoreOf(const StoreWorld& world, const std::vector<std::string>& names) {
  auto store = world.Open();
  for (const std::string& name : names) {
    const Digest digest = *store->PutBytes(Content(name));
    REQUIRE(store->Put(Record(name, "/w/in", "", "/w/" + name, digest)).ok());
    Age(*store, digest);
  }
  return store;
}

TEST_CASE("garbage collection keeps the limit and removes what was used longest ago") {
  const StoreWorld world;
  const auto store = StoreOf(world, {"a", "b", "c", "d"});
  store->NoteHit(Find(*store, "a").at(0)->id, 1);
  const auto dry = store->CollectGarbage({.max_bytes = 250'000}, /*dry_run=*/true);
  REQUIRE(dry.ok());
  CHECK(Find(*store, "b").size() == 1);
  const auto reply = store->CollectGarbage({.max_bytes = 250'000}, /*dry_run=*/false);
  REQUIRE(reply.ok());
  CHECK(reply->removed_actions() == 2);
  CHECK(reply->removed_blobs() == 2);
  CHECK(reply->kept_bytes() <= 250'000);
  CHECK(dry->SerializeAsString() == reply->SerializeAsString());
  for (const char* gone : {"b", "c"}) {
    CHECK(Find(*store, gone).empty());
    CHECK(!store->HasBlob(DigestOf(Content(gone))));
  }
  for (const char* kept : {"a", "d"}) {
    CHECK(Find(*store, kept).size() == 1);
    CHECK(store->HasBlob(DigestOf(Content(kept))));
  }
  CHECK(store->Stats().blob_bytes() <= 250'000);
}

TEST_CASE("a content that another action still names stays") {
  const StoreWorld world;
  const auto store = StoreOf(world, {"a", "b"});
  const Digest shared = DigestOf(Content("a"));
  REQUIRE(store->Put(Record("c", "/w/in", "", "/w/c", shared)).ok());
  REQUIRE(store->CollectGarbage({.max_bytes = 150'000}, false).ok());
  CHECK(Find(*store, "a").empty());
  CHECK(Find(*store, "b").empty());
  CHECK(Find(*store, "c").size() == 1);
  CHECK(store->HasBlob(shared));
}

TEST_CASE("a content that was just put stays, though no action names it yet") {
  const StoreWorld world;
  const auto store = world.Open();
  auto use = store->Use();
  const Digest young = *store->PutBytes("young");
  const Digest old = *store->PutBytes("old");
  const Digest renewed = *store->PutBytes("renewed");
  Age(*store, old);
  Age(*store, renewed);
  REQUIRE(store->PutBytes("renewed").ok());
  REQUIRE(store->CollectGarbage({.max_bytes = 1}, false).ok());
  CHECK(store->HasBlob(young));
  CHECK(store->HasBlob(renewed));
  CHECK(!store->HasBlob(old));
  use.reset();
  absl::SleepFor(absl::Milliseconds(50));  // The clock of files goes in ticks.
  REQUIRE(store->CollectGarbage({.max_bytes = 1}, false).ok());
  CHECK(!store->HasBlob(young));
  CHECK(!store->HasBlob(renewed));
}

TEST_CASE("without limits only what nothing names is removed") {
  const StoreWorld world;
  const auto store = StoreOf(world, {"a", "b"});
  const auto reply = store->CollectGarbage({}, false);
  REQUIRE(reply.ok());
  CHECK(reply->removed_actions() == 0);
  CHECK(reply->removed_blobs() == 0);
}

TEST_CASE("garbage collection beside a build leaves no action without its contents") {
  const StoreWorld world;
  const auto store = world.Open();
  std::thread build([&] {
    const auto use = store->Use();
    for (int i = 0; i < 200; ++i) {
      const std::string name = std::to_string(i % 50);
      const absl::StatusOr<Digest> digest = store->PutBytes(name + std::string(1000, 'y'));
      if (digest.ok()) store->Put(Record(name, "/w/in", std::to_string(i), "/w/out", *digest)).IgnoreError();
    }
  });
  for (int i = 0; i < 20; ++i) CHECK(store->CollectGarbage({.max_bytes = 20'000}, false).ok());
  build.join();
  CHECK(store->Verify()->missing() == 0);
}

TEST_CASE("verification finds what is damaged or missing, and no action of it is left") {
  const StoreWorld world;
  const auto store = StoreOf(world, {"damaged", "missing", "sound"});
  Damage(*store, DigestOf(Content("damaged")));
  REQUIRE(unlink(store->BlobPath(DigestOf(Content("missing"))).c_str()) == 0);
  const auto reply = store->Verify();
  REQUIRE(reply.ok());
  CHECK(reply->blobs() == 2);
  CHECK(reply->damaged() == 1);
  CHECK(reply->missing() == 2);
  CHECK(reply->removed_actions() == 2);
  CHECK(Find(*store, "damaged").empty());
  CHECK(Find(*store, "missing").empty());
  CHECK(Find(*store, "sound").size() == 1);
  const auto again = store->Verify();
  REQUIRE(again.ok());
  CHECK(again->damaged() + again->missing() + again->removed_actions() == 0);
}

TEST_CASE("after clear nothing is left and the store goes on") {
  const StoreWorld world;
  const auto store = StoreOf(world, {"a", "b"});
  const auto reply = store->Clear();
  REQUIRE(reply.ok());
  CHECK(reply->removed_actions() == 2);
  CHECK(reply->freed_bytes() >= 200'000);
  CHECK(store->Stats().actions() == 0);
  CHECK(store->Stats().blobs() == 0);
  REQUIRE(store->Put(Record("a", "/w/in", "", "/w/a", *store->PutBytes("a"))).ok());
  CHECK(store->Commit().ok());
  CHECK(Find(*store, "a").size() == 1);
}

TEST_CASE("room that removed records took in the database goes back to the disk") {
  const StoreWorld world;
  const auto store = world.Open();
  for (int i = 0; i < 40; ++i) {
    v1::ActionRecord record = Record(std::to_string(i), "/w/in", "", "/w/out", *store->PutBytes("o"));
    record.mutable_key()->add_environment(std::string(200'000, 'x'));
    const absl::Status put = store->Put(std::move(record));
    REQUIRE(put.ok());
  }
  const auto reply = store->CollectGarbage({.max_bytes = 1'000'000}, false);
  REQUIRE(reply.ok());
  CHECK(reply->kept_bytes() <= 1'000'000);
  uint64_t database = 0;
  for (const char* suffix : {"", "-wal"}) database += StampOf(world.directory() + "/actions.db" + suffix).size;
  CHECK(database < 2'000'000);
}

}  // namespace
}  // namespace ocpwatch
