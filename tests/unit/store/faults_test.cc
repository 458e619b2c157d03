#include "tests/unit/store/faults.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "tests/unit/store/store_world.h"

namespace ocpwatch {
namespace {

// What a build does with a store whose disk fails; true: what it put is said to be on the disk.
bool UseStore(const StoreWorld& world, Faults* faults, const std::string& source) {
  DiskStore store(world.directory(), faults);
  if (!store.Open().ok()) return false;
  const absl::StatusOr<Digest> text = store.PutBytes("words of the new one");
  const absl::StatusOr<Digest> file = store.DigestOfPath(source, StampOf(source), /*keep=*/true);
  bool kept = text.ok() && file.ok();
  if (kept) {
    v1::ActionRecord record = Record("new", source, "in", "/w/new", *file);
    *record.add_outputs()->mutable_digest() = ToProto(*text);
    kept = store.Put(std::move(record)).ok();
  }
  const std::string copy = world.Path("copy");
  std::filesystem::remove(copy);
  const absl::Status copied = store.CopyBlob(DigestOf("of the old one"), copy, 0644);
  CHECK(std::filesystem::exists(copy) == copied.ok());
  if (copied.ok()) CHECK(ReadAll(copy) == "of the old one");
  const bool committed = store.Commit().ok();
  store.CollectGarbage({.max_bytes = 1 << 30}, false).IgnoreError();
  return kept && committed;
}

void FailAtEveryCall(int error, bool for_good) {
  Faults faults;
  bool fired = true;
  int nth = 1;
  for (; fired; ++nth) {
    CAPTURE(nth, error, for_good);
    const StoreWorld world;
    const std::string source = world.Write("source", "content of a file");
    {
      const auto store = world.Open(&faults);
      const Digest old = *store->PutBytes("of the old one");
      REQUIRE(store->Put(Record("old", "/w/in", "in", "/w/old", old)).ok());
      REQUIRE(store->Commit().ok());
    }
    faults.Arm(nth, error, for_good);
    const bool kept = UseStore(world, &faults, source);
    fired = faults.fired();
    faults.Disarm();

    const auto store = world.Open(&faults);
    CHECK(store->notes().empty());
    REQUIRE(Find(*store, "old").size() == 1);
    CHECK(*store->ReadBlob(DigestOf("of the old one")) == "of the old one");
    const size_t found = Find(*store, "new").size();
    if (kept) CHECK(found == 1);
    if (!fired) CHECK(kept);
    const auto verified = store->Verify();
    REQUIRE(verified.ok());
    CHECK(verified->damaged() == 0);
    CHECK(verified->missing() == 0);
    CHECK(Find(*store, "new").size() == found);
  }
  CHECK(nth > 20);
}

TEST_CASE("whichever write fails, the store stays sound and loses nothing older") {
  for (const bool for_good : {false, true}) {
    FailAtEveryCall(ENOSPC, for_good);
    FailAtEveryCall(EIO, for_good);
  }
}

TEST_CASE("what could not be committed is committed when there is room again") {
  Faults faults;
  const StoreWorld world;
  {
    const auto store = world.Open(&faults);
    const Digest digest = *store->PutBytes("bytes");
    REQUIRE(store->Put(Record("a", "/w/in", "in", "/w/out", digest)).ok());
    faults.Arm(1, ENOSPC, /*for_good=*/true);
    CHECK(!store->Commit().ok());
    CHECK(Find(*store, "a").size() == 1);
    faults.Disarm();
    CHECK(store->Commit().ok());
  }
  CHECK(Find(*world.Open(), "a").size() == 1);
}

TEST_CASE("no record is written before the contents that it names are synced") {
  Faults faults;
  const StoreWorld world;
  const auto store = world.Open(&faults);
  for (const char* bytes : {"one", "two", "three"}) {
    REQUIRE(store->Put(Record(bytes, "/w/in", "in", "/w/out", *store->PutBytes(bytes))).ok());
  }
  faults.Disarm();  // Forgets the calls so far.
  REQUIRE(store->Commit().ok());
  const std::vector<std::string> calls = faults.calls();
  const auto first_record = std::find(calls.begin(), calls.end(), "database write");
  CHECK(std::count(calls.begin(), first_record, "sync") >= 3 + 1 + 1);  // Contents, a directory of them, blobs/.
  CHECK(std::count(first_record, calls.end(), "sync") == 0);
  CHECK(first_record != calls.end());
}

// Runs `fn` in a process that is killed when it returns, with the store that it returns still open.
template <typename Fn>
void Killed(Fn fn) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const std::unique_ptr<DiskStore> store = fn();
    kill(getpid(), SIGKILL);
    _exit(1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
}

TEST_CASE("a daemon killed between content and commit leaves no record whose content is missing") {
  const StoreWorld world;
  Killed([&] {
    auto store = world.Open();
    store->Put(Record("a", "/w/in", "in", "/w/out", *store->PutBytes("bytes"))).IgnoreError();
    return store;
  });
  const auto store = world.Open();
  CHECK(store->HasBlob(DigestOf("bytes")));
  CHECK(store->notes().empty());
  CHECK(Find(*store, "a").empty());
  CHECK(store->Verify()->missing() == 0);
}

TEST_CASE("what was committed is there after the daemon was killed") {
  const StoreWorld world;
  Killed([&] {
    auto store = world.Open();
    store->Put(Record("a", "/w/in", "in", "/w/out", *store->PutBytes("bytes"))).IgnoreError();
    store->Commit().IgnoreError();
    return store;
  });
  const auto store = world.Open();
  REQUIRE(Find(*store, "a").size() == 1);
  CHECK(*store->ReadBlob(DigestOf("bytes")) == "bytes");
}

}  // namespace
}  // namespace ocpwatch
