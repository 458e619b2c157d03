#include "daemon/build/holds.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/store/store_world.h"

namespace ocpwatch {
namespace {

using Reason = v1::Decision::Reason;

// Files, records about them, and the question whether these hold.
class Holding {
 public:
  Holding() : store_(files_.Open()) {}

  const StoreWorld& files() const { return files_; }
  std::string Path(const std::string& name) const { return files_.Path(name); }

  // As the recorder would observe it now.
  v1::Observation* Observe(const std::string& name, bool nofollow = false) {
    v1::Observation* const observation = record_.add_observations();
    const FileState state = StateOf(Path(name), nofollow);
    observation->set_path(Path(name));
    observation->set_nofollow(nofollow);
    observation->set_type(state.type);
    observation->set_mode(state.stamp.mode & 07777);
    observation->set_size(state.stamp.size);
    observation->set_mtime_ns(state.stamp.mtime_ns);
    if (state.type == v1::FILE_REGULAR) *observation->mutable_digest() = ToProto(Now(name));
    return observation;
  }
  v1::Effect* Make(const std::string& name) {
    v1::Effect* const effect = record_.add_effects();
    const FileState state = StateOf(Path(name), /*nofollow=*/true);
    effect->set_path(Path(name));
    effect->set_type(state.type);
    effect->set_target(state.target);
    if (state.type == v1::FILE_REGULAR) *effect->mutable_digest() = ToProto(Now(name));
    return effect;
  }
  Reason Mismatch(bool whole = false) {
    const auto mismatch = Present(store_.get(), &absent_).FirstMismatch(record_, whole, NoneAlike);
    return mismatch.has_value() ? mismatch->reason : v1::Decision::REASON_NONE;
  }
  Reason MismatchAmong(const std::vector<std::string>& suspects) {
    const auto mismatch = Present(store_.get(), &absent_).MismatchAmong(record_, suspects);
    return mismatch.has_value() ? mismatch->reason : v1::Decision::REASON_NONE;
  }
  std::vector<bool> MadeAnew() {
    Present present(store_.get(), &absent_);
    REQUIRE_FALSE(present.FirstMismatch(record_, /*whole=*/false, NoneAlike).has_value());
    return present.MadeAnew(record_, IndexEffects(record_));
  }
  const v1::ActionRecord& record() const { return record_; }
  DiskStore* store() const { return store_.get(); }

 private:
  Digest Now(const std::string& name) const { return *store_->DigestOfPath(Path(name), StampOf(Path(name)), false); }

  AbsentNames absent_;
  StoreWorld files_;
  std::unique_ptr<DiskStore> store_;
  v1::ActionRecord record_;
};

void SetTime(const std::string& path, int64_t seconds) {
  const timespec times[2] = {{seconds, 0}, {seconds, 0}};
  REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
}

TEST_CASE("A read file holds by its content, whatever its time") {
  Holding world;
  const std::string path = world.files().Write("a", "one");
  world.Observe("a")->set_content(true);
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);
  SetTime(path, 1000);
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);
  world.files().Write("a", "two");
  CHECK(world.Mismatch() == v1::Decision::REASON_EDITED);
  SetTime(path, 1000);
  CHECK(world.Mismatch() == v1::Decision::REASON_EDITED);
}

TEST_CASE("A file that was only looked up holds while it is there, of its type") {
  Holding world;
  const std::string path = world.files().Write("a", "one");
  world.Observe("a");
  world.files().Write("a", "another");
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);
  unlink(path.c_str());
  CHECK(world.Mismatch() == v1::Decision::REASON_DISAPPEARED);
  std::filesystem::create_directory(path);
  CHECK(world.Mismatch() == v1::Decision::REASON_STATUS);
}

TEST_CASE("A status holds by size and time, or else by content; and its mode counts") {
  Holding world;
  const std::string path = world.files().Write("a", "one");
  world.Observe("a")->set_status(true);
  SetTime(path, 1000);
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);
  world.files().Write("a", "two");
  CHECK(world.Mismatch() == v1::Decision::REASON_EDITED);
  world.files().Write("a", "one");
  chmod(path.c_str(), 0600);
  CHECK(world.Mismatch() == v1::Decision::REASON_STATUS);
}

TEST_CASE("A time that was looked up counts for files and directories") {
  Holding world;
  const std::string file = world.files().Write("a", "one");
  world.Observe("a")->set_times(true);
  SetTime(file, 1000);
  CHECK(world.Mismatch() == v1::Decision::REASON_STATUS);

  Holding other;
  std::filesystem::create_directory(other.Path("d"));
  other.Observe("d")->set_times(true);
  CHECK(other.Mismatch() == v1::Decision::REASON_NONE);
  SetTime(other.Path("d"), 1000);
  CHECK(other.Mismatch() == v1::Decision::REASON_STATUS);
}

TEST_CASE("An age holds while the file is as much older or newer than the others whose times count") {
  Holding world;
  const std::string older = world.files().Write("older", "one");
  const std::string newer = world.files().Write("newer", "two");
  const std::string beside = world.files().Write("beside", "three");
  SetTime(older, 1000);
  SetTime(newer, 2000);
  world.Observe("older")->set_age(true);
  world.Observe("beside");
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);
  world.Observe("newer")->set_times(true);
  SetTime(older, 1999);
  SetTime(beside, 1);
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);
  SetTime(older, 2000);
  CHECK(world.Mismatch() == v1::Decision::REASON_STATUS);
  SetTime(older, 2001);
  CHECK(world.Mismatch() == v1::Decision::REASON_STATUS);
}

TEST_CASE("Files of which only the ages count may all become newer") {
  Holding world;
  const std::string older = world.files().Write("older", "one");
  const std::string newer = world.files().Write("newer", "two");
  SetTime(older, 1000);
  SetTime(newer, 2000);
  world.Observe("newer")->set_age(true);
  world.Observe("older")->set_age(true);
  SetTime(newer, 4000);
  SetTime(older, 3000);
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);
  SetTime(older, 5000);
  CHECK(world.Mismatch() == v1::Decision::REASON_STATUS);
}

TEST_CASE("An age that one command alone has looked up is compared with no other command's") {
  Holding world;
  const std::string first = world.files().Write("first", "one");
  const std::string source = world.files().Write("source", "two");
  const std::string second = world.files().Write("second", "three");
  const std::string beside = world.files().Write("beside", "four");
  SetTime(source, 1000);
  SetTime(first, 2000);
  SetTime(second, 3000);
  SetTime(beside, 4000);
  for (const char* name : {"first", "second", "beside"}) {
    v1::Observation* const look = world.Observe(name);
    look->set_age(true);
    look->set_aged_by(std::string_view(name) == "first" ? 1 : 2);
  }
  world.Observe("source")->set_times(true);
  SetTime(first, 5000);
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);
  SetTime(first, 999);
  CHECK(world.Mismatch() == v1::Decision::REASON_STATUS);
  SetTime(first, 2000);
  SetTime(second, 4000);
  CHECK(world.Mismatch() == v1::Decision::REASON_STATUS);
  SetTime(beside, 5000);
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);
}

TEST_CASE("An age counts beside the time that the file was given") {
  Holding world;
  const std::string path = world.files().Write("a", "one");
  SetTime(path, 1000);
  world.Observe("a")->set_age(true);
  v1::Effect* const effect = world.Make("a");
  effect->set_times_set(true);
  effect->set_mtime_ns(int64_t{2000} * 1000 * 1000 * 1000);
  SetTime(path, 1500);
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);
  SetTime(path, 3000);
  CHECK(world.Mismatch() == v1::Decision::REASON_STATUS);
}

TEST_CASE("What was absent must be absent, unless it was to be replaced by whatever is there") {
  Holding world;
  v1::Observation* const observation = world.Observe("a");
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);
  world.files().Write("a", "");
  CHECK(world.Mismatch() == v1::Decision::REASON_APPEARED);
  observation->set_replaced(true);
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);
  unlink(world.Path("a").c_str());
  std::filesystem::create_directory(world.Path("a"));
  CHECK(world.Mismatch() == v1::Decision::REASON_APPEARED);
}

TEST_CASE("A symbolic link holds by what it says") {
  Holding world;
  world.files().Write("a", "");
  world.files().Write("b", "");
  REQUIRE(symlink("a", world.Path("link").c_str()) == 0);
  world.Observe("link", /*nofollow=*/true)->set_target("a");
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);
  unlink(world.Path("link").c_str());
  REQUIRE(symlink("b", world.Path("link").c_str()) == 0);
  CHECK(world.Mismatch() == v1::Decision::REASON_EDITED);
}

TEST_CASE("A resolved path holds while the links on the way, and at its end, lead where they led") {
  Holding world;
  REQUIRE(mkdir(world.Path("real").c_str(), 0777) == 0);
  world.files().Write("real/file", "");
  REQUIRE(symlink("real", world.Path("way").c_str()) == 0);
  REQUIRE(symlink("file", world.Path("real/end").c_str()) == 0);
  for (const char* name : {"real/file", "way/file", "real/end", "way/end", "way/../real/file", "real//file"}) {
    world.Observe(name)->set_target(world.Path("real/file"));
  }
  world.Observe("way")->set_target(world.Path("real"));
  world.Observe("real/.")->set_target(world.Path("real"));
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);

  // The same file by the same name, elsewhere: only where it is has changed.
  REQUIRE(rename(world.Path("real").c_str(), world.Path("moved").c_str()) == 0);
  REQUIRE(symlink("moved", world.Path("real").c_str()) == 0);
  CHECK(world.Mismatch() == v1::Decision::REASON_EDITED);
}

TEST_CASE("A listing holds by names and types, without what the action had made before it looked") {
  Holding world;
  std::filesystem::create_directory(world.Path("d"));
  world.files().Write("d/a", "");
  v1::Observation* const observation = world.Observe("d");
  observation->set_listing(true);
  *observation->mutable_digest() = ToProto(DigestOf(List(world.Path("d")), [](const std::string&) { return false; }));
  world.files().Write("d/a", "other content");
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);
  world.files().Write("d/product", "");
  world.Make("d/product");
  CHECK(world.Mismatch() == v1::Decision::REASON_LISTING);  // It looked first, and found no product.
  observation->add_without("product");
  CHECK(world.Mismatch() == v1::Decision::REASON_NONE);
  unlink(world.Path("d/a").c_str());
  CHECK(world.Mismatch() == v1::Decision::REASON_LISTING);
}

TEST_CASE("What the daemon lays down for a moment is in no listing") {
  Holding holding;
  holding.files().Write("a", "1");
  const Listing before = List(holding.Path("."));
  StagedNames::Batch batch(holding.store()->staged_names());
  std::ofstream(*batch.NameIn(holding.Path("."))) << "half";
  CHECK(List(holding.Path(".")) == before);
}

TEST_CASE("A listing holds for a whole build where nothing but its own products differs") {
  Holding world;
  std::filesystem::create_directory(world.Path("d"));
  world.files().Write("d/a", "");
  v1::Observation* const observation = world.Observe("d");
  observation->set_listing(true);
  *observation->mutable_digest() = ToProto(DigestOf(List(world.Path("d")), [](const std::string&) { return false; }));
  *observation->mutable_rest() = observation->digest();
  world.files().Write("d/product", "");
  CHECK(world.Mismatch(/*whole=*/true) == v1::Decision::REASON_LISTING);
  world.Make("d/product");
  CHECK(world.Mismatch(/*whole=*/true) == v1::Decision::REASON_NONE);
  observation->set_lists_all(true);
  CHECK(world.Mismatch(/*whole=*/true) == v1::Decision::REASON_LISTING);
}

TEST_CASE("A look-up that failed holds while it fails in the same way") {
  Holding world;
  world.files().Write("a", "");
  v1::Observation* const observation = world.Observe("a");
  observation->set_error(EACCES);
  CHECK(world.Mismatch() == v1::Decision::REASON_STATUS);
}

TEST_CASE("Of the whole command, a product that is as it was left is no input") {
  Holding world;
  world.Observe("out");
  const std::string path = world.files().Write("out", "made");
  world.Make("out");
  CHECK(world.Mismatch(/*whole=*/false) == v1::Decision::REASON_APPEARED);
  CHECK(world.Mismatch(/*whole=*/true) == v1::Decision::REASON_NONE);
  world.files().Write("out", "by hand");
  CHECK(world.Mismatch(/*whole=*/true) == v1::Decision::REASON_APPEARED);
}

TEST_CASE("A product that would have been read before it was made is an input of the whole command too") {
  Holding world;
  world.Observe("out")->set_content(true);
  world.files().Write("out", "made");
  world.Make("out");
  CHECK(world.Mismatch(/*whole=*/true) == v1::Decision::REASON_APPEARED);
}

TEST_CASE("A link to a directory that the command made is not taken for what it was before") {
  Holding world;
  world.Observe("link", /*nofollow=*/true);
  std::filesystem::create_directory(world.Path("d"));
  REQUIRE(symlink("d", world.Path("link").c_str()) == 0);
  world.Make("link");
  CHECK(world.Mismatch(/*whole=*/true) == v1::Decision::REASON_APPEARED);
}

TEST_CASE("Of suspects it is said what does not hold, if they count") {
  Holding world;
  world.files().Write("a", "one");
  world.Observe("a")->set_content(true);
  world.Observe("looked for");
  const std::vector<std::string> suspects = {world.Path("b"), world.Path("looked for"), world.Path("a")};
  CHECK(world.MismatchAmong(suspects) == v1::Decision::REASON_NONE);
  world.files().Write("looked for", "");  // It may be a product for which that makes no difference.
  CHECK(world.MismatchAmong(suspects) == v1::Decision::REASON_NONE);
  world.files().Write("a", "two");
  CHECK(world.MismatchAmong(suspects) == v1::Decision::REASON_EDITED);
  CHECK(world.MismatchAmong({world.Path("b")}) == v1::Decision::REASON_NONE);
}

TEST_CASE("What is gone, or made from what was touched or is gone, is made anew; what is not, is not") {
  Holding holding;
  for (const char* name : {"s", "t", "p", "q", "both", "other"}) holding.files().Write(name, name);
  for (const char* name : {"s", "t"}) {
    v1::Observation* const look = holding.Observe(name);
    look->set_status(true);
    look->set_content(true);
  }
  holding.Make("p")->add_from_observations(0);
  holding.Make("q")->add_from_observations(1);
  v1::Effect* const both = holding.Make("both");
  both->add_from_effects(0);
  both->add_from_effects(1);
  holding.Make("other")->add_from_effects(77);  // A damaged record.
  using Anew = std::vector<bool>;
  CHECK(holding.MadeAnew() == Anew{false, false, false, false});
  std::filesystem::remove(holding.Path("q"));
  CHECK(holding.MadeAnew() == Anew{false, true, true, false});
  holding.files().Write("q", "q");
  std::filesystem::remove(holding.Path("both"));
  CHECK(holding.MadeAnew() == Anew{false, false, true, false});
  holding.files().Write("both", "both");
  const timespec times[2] = {{1000, 0}, {1000, 0}};
  REQUIRE(utimensat(AT_FDCWD, holding.Path("s").c_str(), times, 0) == 0);
  CHECK(holding.MadeAnew() == Anew{true, false, true, false});
}

TEST_CASE("A product with another mode is not as it was left, nor a directory of its own with something else in it") {
  Holding world;
  const std::string path = world.files().Write("out", "content");
  world.Observe("out")->set_status(true);
  std::filesystem::create_directory(world.Path("d"));
  world.files().Write("d/own", "");
  for (const char* name : {"out", "d", "d/own"}) {
    v1::Effect* const effect = world.Make(name);
    effect->set_mode(StateOf(world.Path(name), true).stamp.mode & 07777);
    effect->set_mode_set(true);
  }
  const auto is_final = [&](const std::string& name) {
    const EffectsByPath all = IndexEffects(world.record());
    AbsentNames absent;
    return Present(world.store(), &absent).IsFinal(*all.at(world.Path(name)), all);
  };
  CHECK(is_final("out"));
  CHECK(is_final("d"));
  world.files().Write("d/stray", "");
  CHECK_FALSE(is_final("d"));
  CHECK(is_final("d/own"));
  chmod(path.c_str(), 0700);
  CHECK_FALSE(is_final("out"));
}

}  // namespace
}  // namespace ocpwatch
