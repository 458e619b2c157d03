#include "daemon/build/restore.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/store/store_world.h"

namespace ocpwatch {
namespace {

class Restoring {
 public:
  Restoring() : store_(files_.Open()) {}

  const StoreWorld& files() const { return files_; }
  std::string Path(const std::string& name) const { return files_.Path(name); }

  v1::Effect* Add(const std::string& name, v1::FileType type) {
    v1::Effect* const effect = record_.add_effects();
    effect->set_path(Path(name));
    effect->set_type(type);
    effect->set_mode(type == v1::FILE_DIRECTORY ? 0755 : 0644);
    effect->set_mode_set(true);
    return effect;
  }
  v1::Effect* AddFile(const std::string& name, const std::string& content) {
    v1::Effect* const effect = Add(name, v1::FILE_REGULAR);
    *effect->mutable_digest() = ToProto(*store_->PutBytes(content));
    return effect;
  }
  absl::Status Do(bool renewed = false) {
    changed_ = false;
    return Restore(record_, std::vector<bool>(static_cast<size_t>(record_.effects_size()), renewed), store_.get(),
                   &changed_);
  }
  bool changed() const { return changed_; }
  void Damage(const v1::Effect& effect) {
    const std::string blob = store_->BlobPath(FromProto(effect.digest()));
    chmod(blob.c_str(), 0600);
    std::ofstream(blob, std::ios::trunc) << std::string(effect.digest().size(), 'x');
  }
  // What is there, but for the store.
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(files_.Path("."))) {
      if (entry.path().filename() != "store") names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  StoreWorld files_;
  std::unique_ptr<DiskStore> store_;
  v1::ActionRecord record_;
  bool changed_ = false;
};

mode_t ModeOf(const std::string& path) {
  struct stat status;
  REQUIRE(lstat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

TEST_CASE("Everything that an action made is put back") {
  Restoring world;
  world.Add("d", v1::FILE_DIRECTORY);
  world.AddFile("d/file", "content")->set_mode(0755);
  world.Add("link", v1::FILE_SYMLINK)->set_target("d/file");
  world.AddFile("empty", "");
  REQUIRE(world.Do().ok());
  CHECK(ReadAll(world.Path("d/file")) == "content");
  CHECK(ModeOf(world.Path("d/file")) == 0755);
  CHECK(std::filesystem::read_symlink(world.Path("link")) == "d/file");
  CHECK(ReadAll(world.Path("empty")).empty());
  CHECK(world.Names() == std::vector<std::string>{"d", "empty", "link"});
}

TEST_CASE("What was removed is removed, and that it is gone already is no error") {
  Restoring world;
  world.files().Write("file", "");
  std::filesystem::create_directory(world.Path("d"));
  world.Add("file", v1::FILE_ABSENT);
  world.Add("d", v1::FILE_ABSENT);
  world.Add("never", v1::FILE_ABSENT);
  REQUIRE(world.Do().ok());
  CHECK(world.Names().empty());
}

TEST_CASE("A file that is there keeps its mode where the action did not set one") {
  Restoring world;
  const std::string path = world.files().Write("file", "old");
  chmod(path.c_str(), 0600);
  world.AddFile("file", "new")->set_mode_set(false);
  REQUIRE(world.Do().ok());
  CHECK(ReadAll(path) == "new");
  CHECK(ModeOf(path) == 0600);
}

TEST_CASE("What was written in place changes under its other names too, what was made anew does not") {
  Restoring world;
  const std::string in_place = world.files().Write("in_place", "old");
  const std::string anew = world.files().Write("anew", "old");
  REQUIRE(link(in_place.c_str(), world.Path("in_place2").c_str()) == 0);
  REQUIRE(link(anew.c_str(), world.Path("anew2").c_str()) == 0);
  world.AddFile("in_place", "new")->set_in_place(true);
  world.AddFile("anew", "new");
  REQUIRE(world.Do().ok());
  CHECK(ReadAll(world.Path("in_place2")) == "new");
  CHECK(ReadAll(world.Path("anew2")) == "old");
}

TEST_CASE("A hard link is made again, also where a file of the same content stands") {
  Restoring world;
  const std::string path = world.files().Write("file", "x");
  world.files().Write("hard", "x");
  v1::Effect* const effect = world.AddFile("hard", "x");
  effect->set_link_to(path);
  REQUIRE(world.Do().ok());
  CHECK(StampOf(path).ino == StampOf(world.Path("hard")).ino);
}

TEST_CASE("What is in its final state is left alone, or gets the time of now") {
  Restoring world;
  const std::string path = world.files().Write("file", "content");
  const timespec times[2] = {{1000, 0}, {1000, 0}};
  REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
  world.AddFile("file", "content");
  REQUIRE(world.Do(/*renewed=*/false).ok());
  CHECK(StampOf(path).mtime_ns == 1000 * int64_t{1'000'000'000});
  REQUIRE(world.Do(/*renewed=*/true).ok());
  CHECK(StampOf(path).mtime_ns != 1000 * int64_t{1'000'000'000});
}

TEST_CASE("A time that the action set comes back") {
  Restoring world;
  v1::Effect* const effect = world.AddFile("file", "content");
  effect->set_times_set(true);
  effect->set_mtime_ns(1'234'567'890);
  REQUIRE(world.Do().ok());
  CHECK(StampOf(world.Path("file")).mtime_ns == 1'234'567'890);
}

TEST_CASE("A damaged content changes nothing, neither in its own place nor in another") {
  Restoring world;
  world.files().Write("first", "old");
  world.AddFile("first", "new");
  world.Damage(*world.AddFile("second", "damaged"));
  CHECK(absl::IsDataLoss(world.Do()));
  CHECK_FALSE(world.changed());
  CHECK(ReadAll(world.Path("first")) == "old");
  CHECK(world.Names() == std::vector<std::string>{"first"});
}

TEST_CASE("Where the directory is missing, nothing is made") {
  Restoring world;
  world.AddFile("nowhere/file", "content");
  CHECK_FALSE(world.Do().ok());
  CHECK_FALSE(world.changed());
  CHECK(world.Names().empty());
}

TEST_CASE("A directory takes a file's place, and a link's, with what is in it") {
  Restoring world;
  world.files().Write("file", "old");
  symlink("nowhere", world.Path("link").c_str());
  world.Add("file", v1::FILE_DIRECTORY);
  world.AddFile("file/inner", "content");
  world.Add("link", v1::FILE_DIRECTORY);
  world.AddFile("link/inner", "content");
  REQUIRE(world.Do().ok());
  CHECK(ReadAll(world.Path("file/inner")) == "content");
  CHECK(ReadAll(world.Path("link/inner")) == "content");
  CHECK(world.Names() == std::vector<std::string>{"file", "link"});
}

TEST_CASE("A file takes the place of a directory that the action has emptied") {
  Restoring world;
  mkdir(world.Path("place").c_str(), 0755);
  world.files().Write("place/inner", "old");
  world.Add("place/inner", v1::FILE_ABSENT);
  world.AddFile("place", "content");
  REQUIRE(world.Do().ok());
  CHECK(ReadAll(world.Path("place")) == "content");
}

TEST_CASE("A directory with something else in it stays, and nothing is changed") {
  Restoring world;
  mkdir(world.Path("place").c_str(), 0755);
  world.files().Write("place/stray", "old");
  world.files().Write("first", "old");
  world.AddFile("first", "new");
  SECTION("where a file would come") { world.AddFile("place", "content"); }
  SECTION("where it would go") { world.Add("place", v1::FILE_ABSENT); }
  CHECK_FALSE(world.Do().ok());
  CHECK_FALSE(world.changed());
  CHECK(ReadAll(world.Path("first")) == "old");
  CHECK(ReadAll(world.Path("place/stray")) == "old");
  CHECK(world.Names() == std::vector<std::string>{"first", "place"});
}

TEST_CASE("A directory that is closed in the end is filled first") {
  Restoring world;
  world.Add("closed", v1::FILE_DIRECTORY)->set_mode(0555);
  world.Add("closed/inner", v1::FILE_DIRECTORY)->set_mode(0500);
  world.AddFile("closed/inner/file", "content");
  REQUIRE(world.Do().ok());
  CHECK(ReadAll(world.Path("closed/inner/file")) == "content");
  CHECK(ModeOf(world.Path("closed")) == 0555);
  CHECK(ModeOf(world.Path("closed/inner")) == 0500);
  SECTION("also where it is there and closed") {
    unlink(world.Path("closed/inner/file").c_str());
    REQUIRE(world.Do().ok());
    CHECK(ReadAll(world.Path("closed/inner/file")) == "content");
    CHECK(ModeOf(world.Path("closed")) == 0555);
  }
  for (const char* name : {"closed", "closed/inner"}) chmod(world.Path(name).c_str(), 0755);
}

TEST_CASE("A file that was written after it was given another name has its content under both") {
  Restoring world;
  world.files().Write("file", "old");
  world.AddFile("name", "new")->set_link_to(world.Path("file"));
  world.AddFile("file", "new")->set_in_place(true);
  REQUIRE(world.Do().ok());
  CHECK(ReadAll(world.Path("file")) == "new");
  CHECK(ReadAll(world.Path("name")) == "new");
  struct stat one;
  struct stat other;
  REQUIRE(lstat(world.Path("file").c_str(), &one) == 0);
  REQUIRE(lstat(world.Path("name").c_str(), &other) == 0);
  CHECK(one.st_ino == other.st_ino);
}

}  // namespace
}  // namespace ocpwatch
