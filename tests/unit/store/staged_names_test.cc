#include "daemon/store/staged_names.h"

#include "tests/unit/store/store_world.h"

namespace ocpwatch {
namespace {

// As a daemon that is killed: no destructor of the batch runs before the next one opens the list.
std::string LeaveBehind(const StoreWorld& world, StagedNames::Batch* batch, const std::string& directory) {
  std::filesystem::create_directories(world.Path(directory));
  std::string name = *batch->NameIn(world.Path(directory));
  std::ofstream(name) << "half";
  return name;
}

void Open(const StoreWorld& world, StagedNames* names) {
  REQUIRE(names->Open(world.Path("staged"), FileSystem::Real()).ok());
}

TEST_CASE("what a killed daemon had laid down is gone once the next one has opened the list") {
  const StoreWorld world;
  StagedNames killed;
  Open(world, &killed);
  StagedNames::Batch batch(&killed);
  const std::string first = LeaveBehind(world, &batch, "a");
  const std::string second = LeaveBehind(world, &batch, "b\nc");
  CHECK(first != second);
  StagedNames next;
  Open(world, &next);
  CHECK_FALSE(std::filesystem::exists(first));
  CHECK_FALSE(std::filesystem::exists(second));
  CHECK(std::filesystem::file_size(world.Path("staged")) == 0);
}

TEST_CASE("no file but those of such names is ever removed") {
  const StoreWorld world;
  const std::string kept = world.Write(".ocp-watch-1-1.c", "mine");
  const std::string ours = world.Write(".ocp-watch-1-1", "half");
  std::string list = kept + '\0' + "no-slash" + '\0' + world.directory() + '\0' + '\0' + ours;  // Its end was cut off.
  world.Write("staged", list);
  StagedNames names;
  Open(world, &names);
  CHECK(ReadAll(kept) == "mine");
  CHECK_FALSE(std::filesystem::exists(ours));
}

TEST_CASE("a staged name is told by its form") {
  CHECK(StagedNames::IsStaged(".ocp-watch-12-345"));
  for (const char* other : {".ocp-watch-", ".ocp-watch-12", ".ocp-watch-12-", ".ocp-watch--1", ".ocp-watch-1-2-3",
                            ".ocp-watch-1-2x", "x.ocp-watch-1-2", ""}) {
    CHECK_FALSE(StagedNames::IsStaged(other));
  }
}

TEST_CASE("the list begins anew when nobody has a name") {
  const StoreWorld world;
  StagedNames names;
  Open(world, &names);
  {
    StagedNames::Batch longer(&names);
    const std::string early = LeaveBehind(world, &longer, "a");
    {
      StagedNames::Batch batch(&names);
      for (int i = 0; i < 5000; ++i) REQUIRE(batch.NameIn(world.Path("b")).ok());
    }
    CHECK(ReadAll(world.Path("staged")).find(early) != std::string::npos);
  }
  CHECK(std::filesystem::file_size(world.Path("staged")) == 0);
  StagedNames::Batch batch(&names);
  const std::string late = LeaveBehind(world, &batch, "a");
  CHECK(ReadAll(world.Path("staged")) == std::string(1, '\0') + late + '\0');
}

TEST_CASE("a name that cannot be written down is not given out, and harms no other") {
  class FullOnce final : public FileSystem {
   public:
    ssize_t Write(int fd, const void* bytes, size_t size) override {
      return FileSystem::Write(fd, bytes, ++calls_ == 2 ? size / 2 : size);
    }

   private:
    int calls_ = 0;
  };
  const StoreWorld world;
  FullOnce disk;
  StagedNames names;
  REQUIRE(names.Open(world.Path("staged"), &disk).ok());
  StagedNames::Batch batch(&names);
  const std::string first = LeaveBehind(world, &batch, "a");
  CHECK(batch.NameIn(world.Path("a")).status().code() == absl::StatusCode::kResourceExhausted);
  const std::string third = LeaveBehind(world, &batch, "a");
  StagedNames next;
  Open(world, &next);
  CHECK_FALSE(std::filesystem::exists(first));
  CHECK_FALSE(std::filesystem::exists(third));
}

}  // namespace
}  // namespace ocpwatch
