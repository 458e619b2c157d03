#include "daemon/store/disk_store.h"

#include "tests/unit/store/store_world.h"

namespace ocpwatch {
namespace {

std::vector<std::string> Argv0(const std::vector<ActionPtr>& actions) {
  std::vector<std::string> names;
  names.reserve(actions.size());
  for (const ActionPtr& action : actions) names.push_back(action->record.key().argv(0));
  return names;
}

std::vector<std::string> ReadersOf(Store& store, const absl::flat_hash_set<std::string>& paths) {
  std::vector<std::string> names;
  store.ForEachReader(paths, [&](const StoredAction& action) {
    names.push_back(action.record.key().argv(0));
    return true;
  });
  return names;
}

TEST_CASE("a record is found at once, after a commit and by the next daemon") {
  const StoreWorld world;
  {
    const auto store = world.Open();
    const Digest digest = *store->PutBytes("o");
    REQUIRE(store->Put(Record("a", "/w/a.c", "int a;", "/w/a.o", digest)).ok());
    const auto check = [&](Store& in) {
      REQUIRE(Find(in, "a").size() == 1);
      CHECK(Find(in, "b").empty());
      CHECK(Argv0(in.MadeBy("/w/a.o", 9)) == std::vector<std::string>{"a"});
      CHECK(ReadersOf(in, {"/w/a.c", "/w/z.c"}) == std::vector<std::string>{"a"});
      CHECK(in.MadeBy("/w/a.c", 9).empty());
      CHECK(ReadersOf(in, {"/w/a.o"}).empty());
      CHECK(Argv0(in.FindSimilar(Record("a", "", "", "", {}).key(), 9)) == std::vector<std::string>{"a"});
    };
    check(*store);
    REQUIRE(store->Commit().ok());
    check(*store);
  }
  const auto store = world.Open();
  REQUIRE(Find(*store, "a").size() == 1);
  CHECK(Find(*store, "a")[0]->record.observations(0).path() == "/w/a.c");
  CHECK(Argv0(store->MadeBy("/w/a.o", 9)) == std::vector<std::string>{"a"});
  CHECK(ReadersOf(*store, {"/w/a.c"}) == std::vector<std::string>{"a"});
}

TEST_CASE("records of one fingerprint are kept newest first, as many as the bound says") {
  const StoreWorld world;
  const size_t more = kMaxRecordsPerFingerprint + 3;
  {
    const auto store = world.Open();
    for (size_t i = 0; i < more; ++i) {
      REQUIRE(store->Put(Record("a", "/w/a.c", std::to_string(i), "/w/a.o", *store->PutBytes("o"))).ok());
      if (i % 2 == 0) REQUIRE(store->Commit().ok());
    }
  }
  const auto store = world.Open();
  const std::vector<ActionPtr> found = Find(*store, "a");
  REQUIRE(found.size() == kMaxRecordsPerFingerprint);
  for (size_t i = 0; i < found.size(); ++i) {
    CHECK(FromProto(found[i]->record.observations(0).digest()) == DigestOf(std::to_string(more - 1 - i)));
  }
  CHECK(store->MadeBy("/w/a.o", 3).size() == 3);
}

TEST_CASE("a record with the same observations takes the other's place") {
  const StoreWorld world;
  auto store = world.Open();
  REQUIRE(store->Put(Record("a", "/w/a.c", "one", "/w/a.o", *store->PutBytes("1"))).ok());
  REQUIRE(store->Put(Record("a", "/w/a.c", "two", "/w/a.o", *store->PutBytes("2"))).ok());
  SECTION("in one daemon") {}
  SECTION("in the next") {
    store.reset();
    store = world.Open();
  }
  REQUIRE(store->Put(Record("a", "/w/a.c", "one", "/w/a.o", *store->PutBytes("3"))).ok());
  const std::vector<ActionPtr> found = Find(*store, "a");
  REQUIRE(found.size() == 2);
  CHECK(FromProto(found[0]->record.effects(0).digest()) == DigestOf("3"));
  CHECK(FromProto(found[1]->record.effects(0).digest()) == DigestOf("2"));
}

TEST_CASE("candidates come newest first, with what has last spoken against them") {
  const StoreWorld world;
  auto store = world.Open();
  const std::string fingerprint = std::string(31, '.') + "a";
  REQUIRE(store->Put(Record("a", "/w/a.c", "one", "/w/a.o", *store->PutBytes("1"))).ok());
  REQUIRE(store->Put(Record("a", "/w/a.c", "two", "/w/a.o", *store->PutBytes("2"))).ok());
  const ActionPtr old = Find(*store, "a").at(1);
  store->NoteMismatch(old->id, old->record.observations(0));
  const std::vector<Candidate> candidates = store->Candidates(fingerprint);
  REQUIRE(candidates.size() == 2);
  CHECK(candidates[0].against == nullptr);
  CHECK(candidates[1].id == old->id);
  REQUIRE(candidates[1].against != nullptr);
  CHECK(FromProto(candidates[1].against->digest()) == DigestOf("one"));
  CHECK(FromProto(store->Get(candidates[0].id)->record.observations(0).digest()) == DigestOf("two"));
  store->Forget(old->id);
  store->NoteMismatch(old->id, old->record.observations(0));
  CHECK(store->Get(old->id) == nullptr);
  CHECK(store->Candidates(fingerprint).size() == 1);
  CHECK(store->Candidates(std::string(31, '.') + "b").empty());
}

TEST_CASE("a forgotten record is gone, also from the disk, and who has it may go on reading it") {
  const StoreWorld world;
  {
    const auto store = world.Open();
    REQUIRE(store->Put(Record("a", "/w/a.c", "", "/w/a.o", *store->PutBytes("o"))).ok());
    REQUIRE(store->Commit().ok());
    const ActionPtr held = Find(*store, "a").at(0);
    store->Forget(held->id);
    CHECK(Find(*store, "a").empty());
    CHECK(store->MadeBy("/w/a.o", 9).empty());
    CHECK(held->record.key().argv(0) == "a");
  }
  const auto store = world.Open();
  CHECK(Find(*store, "a").empty());
  CHECK(store->MadeBy("/w/a.o", 9).empty());
}

TEST_CASE("an older version of the store is set aside whole, never read") {
  const StoreWorld world;
  {
    const auto store = world.Open();
    REQUIRE(store->Put(Record("a", "/w/a.c", "", "/w/a.o", *store->PutBytes("o"))).ok());
  }
  std::ofstream(world.directory() + "/version") << "0\n";
  const auto store = world.Open();
  CHECK(store->notes().size() == 1);
  CHECK(Find(*store, "a").empty());
  CHECK(!store->HasBlob(DigestOf("o")));
  size_t aside = 0;
  for (const auto& entry : std::filesystem::directory_iterator(world.Path(""))) {
    if (!entry.path().filename().string().starts_with("store.old-")) continue;
    ++aside;
    CHECK(ReadAll(entry.path() / "version") == "0\n");
    CHECK(std::filesystem::exists(entry.path() / "actions.db"));
  }
  CHECK(aside == 1);
  CHECK(world.Open()->notes().empty());
}

TEST_CASE("a database that is damaged is set aside, and the contents stay") {
  const StoreWorld world;
  {
    const auto store = world.Open();
    REQUIRE(store->Put(Record("a", "/w/a.c", "", "/w/a.o", *store->PutBytes("o"))).ok());
  }
  std::ofstream(world.directory() + "/actions.db", std::ios::trunc) << std::string(9000, '?');
  const auto store = world.Open();
  CHECK(!store->notes().empty());
  CHECK(Find(*store, "a").empty());
  CHECK(store->HasBlob(DigestOf("o")));
  REQUIRE(store->Put(Record("b", "/w/a.c", "", "/w/a.o", DigestOf("o"))).ok());
  CHECK(store->Commit().ok());
}

TEST_CASE("parsed records take no more memory than the bound says") {
  const StoreWorld world;
  auto rows = ActionRows::Open(world.Path("actions.db"));
  REQUIRE(rows.ok());
  ActionTable table(rows->get());
  for (int i = 0; i < 40; ++i) {
    v1::ActionRecord record = Record(std::to_string(i), "/w/in", "", "/w/out", DigestOf(""));
    record.mutable_key()->add_environment(std::string(kMaxParsedBytes / 20, 'x'));
    table.Put(std::move(record));
    const ActionRows::Batch batch = table.TakeBatch();
    REQUIRE((*rows)->Write(batch).ok());
    table.Written(batch);
    CHECK(table.parsed_bytes() <= kMaxParsedBytes);
  }
  for (int i = 0; i < 40; ++i) {
    const std::string name = std::to_string(i);
    REQUIRE(table.Find(std::string(32 - name.size(), '.') + name).size() == 1);
    CHECK(table.parsed_bytes() <= kMaxParsedBytes);
  }
}

TEST_CASE("of a fingerprint only the newest record stays parsed") {
  const StoreWorld world;
  auto rows = ActionRows::Open(world.Path("actions.db"));
  REQUIRE(rows.ok());
  ActionTable table(rows->get());
  const auto put = [&](const std::string& content) {
    table.Put(Record("a", "/w/in", content, "/w/out", DigestOf("")));
    return table.parsed_bytes();
  };
  const auto commit = [&] {
    const ActionRows::Batch batch = table.TakeBatch();
    REQUIRE((*rows)->Write(batch).ok());
    table.Written(batch);
    return table.parsed_bytes();
  };
  const size_t one = put("1");
  CHECK(put("2") == 2 * one);  // Not written yet.
  CHECK(commit() == one);
  CHECK(put("3") == one);
  CHECK(commit() == one);
  CHECK(table.Find(std::string(31, '.') + "a").size() == 3);
}

TEST_CASE("statistics outlive the daemon") {
  const StoreWorld world;
  {
    const auto store = world.Open();
    REQUIRE(store->Put(Record("a", "/w/a.c", "", "/w/a.o", *store->PutBytes("bytes"))).ok());
    store->NoteHit(Find(*store, "a").at(0)->id, 5'000);
    store->NoteMiss();
    store->NoteMiss();
    store->NoteBuild(true);
    store->NoteBuild(false);
  }
  const v1::StatsReply stats = world.Open()->Stats();
  CHECK(stats.actions() == 1);
  CHECK(stats.blobs() == 1);
  CHECK(stats.blob_bytes() == 5);
  CHECK(stats.hits() == 1);
  CHECK(stats.misses() == 2);
  CHECK(stats.stored() == 1);
  CHECK(stats.saved_ns() == 5'000);
  CHECK(stats.builds() == 2);
  CHECK(stats.whole_hits() == 1);
}

}  // namespace
}  // namespace ocpwatch
