#include "daemon/store/blob_store.h"

#include "tests/unit/store/store_world.h"

namespace ocpwatch {
namespace {

TEST_CASE("a content comes back as it was put, with the mode that was asked for") {
  const StoreWorld world;
  const auto store = world.Open();
  std::string bytes(300'000, 'x');
  bytes[200'000] = '\0';
  const Digest digest = *store->PutBytes(bytes);
  CHECK(digest == DigestOf(bytes));
  CHECK(*store->ReadBlob(digest) == bytes);
  const std::string path = world.Path("out");
  REQUIRE(store->CopyBlob(digest, path, 0751).ok());
  CHECK(ReadAll(path) == bytes);
  CHECK((StampOf(path).mode & 07777) == 0751);
  // Never a hard link: who writes into the copy does not write into the store.
  CHECK(StampOf(path).ino != StampOf(store->BlobPath(digest)).ino);
  CHECK((StampOf(store->BlobPath(digest)).mode & 0222) == 0);
}

TEST_CASE("an empty content is a content") {
  const StoreWorld world;
  const auto store = world.Open();
  const Digest digest = *store->PutBytes("");
  CHECK(store->HasBlob(digest));
  CHECK(store->ReadBlob(digest)->empty());
  REQUIRE(store->CopyBlob(digest, world.Path("out"), 0644).ok());
  CHECK(ReadAll(world.Path("out")).empty());
}

TEST_CASE("a damaged content is never put in place") {
  const StoreWorld world;
  auto store = world.Open();
  const Digest copied = *store->PutBytes("to be copied");
  const Digest read = *store->PutBytes("to be read");
  const Digest checked = *store->PutBytes("to be checked");
  REQUIRE(store->CheckBlob(checked).ok());
  Damage(*store, checked);
  Damage(*store, copied);
  Damage(*store, read);
  SECTION("by the daemon that has put it") {}
  SECTION("by another") {
    store.reset();
    store = world.Open();
  }
  CHECK(absl::IsDataLoss(store->CopyBlob(copied, world.Path("out"), 0644)));
  CHECK(!std::filesystem::exists(world.Path("out")));
  CHECK(absl::IsDataLoss(store->ReadBlob(read).status()));
  CHECK(absl::IsDataLoss(store->CheckBlob(checked)));
  for (const Digest& digest : {copied, read, checked}) {
    CHECK(absl::IsNotFound(store->CheckBlob(digest)));
    CHECK(!store->HasBlob(digest));
    CHECK(std::filesystem::exists(world.directory() + "/quarantine/" + Hex(digest)));
  }
  // It can be put again.
  CHECK(*store->PutBytes("to be read") == read);
  CHECK(*store->ReadBlob(read) == "to be read");
}

TEST_CASE("a content that was cut short is not there, and is mended when it is put again") {
  const StoreWorld world;
  const auto store = world.Open();
  const Digest digest = *store->PutBytes("a whole sentence");
  REQUIRE(chmod(store->BlobPath(digest).c_str(), 0600) == 0);
  REQUIRE(truncate(store->BlobPath(digest).c_str(), 7) == 0);
  CHECK(!store->HasBlob(digest));
  CHECK(!store->ReadBlob(digest).ok());
  REQUIRE(store->PutBytes("a whole sentence").ok());
  CHECK(*store->ReadBlob(digest) == "a whole sentence");
}

TEST_CASE("nothing is written over a file that is there") {
  const StoreWorld world;
  const auto store = world.Open();
  const Digest digest = *store->PutBytes("new");
  world.Write("out", "old");
  CHECK(absl::IsAlreadyExists(store->CopyBlob(digest, world.Path("out"), 0644)));
  CHECK(ReadAll(world.Path("out")) == "old");
}

TEST_CASE("what was on its way in when the daemon died is swept") {
  const StoreWorld world;
  world.Open();
  std::ofstream(world.directory() + "/temporary/7") << "half";
  world.Open();
  CHECK(std::filesystem::is_empty(world.directory() + "/temporary"));
}

}  // namespace
}  // namespace ocpwatch
