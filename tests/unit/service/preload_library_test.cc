#include "daemon/service/preload_library.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/unit/service/scratch.h"

namespace ocpwatch {
namespace {

std::string MakeFile(const std::string& path) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << "x";
  return path;
}

TEST_CASE("The preload library is found in the build tree and beside a moved installation") {
  Scratch scratch;
  const std::string built = MakeFile(scratch.path() + "/build/preload/libocpwatch-preload.so");
  std::filesystem::create_directories(scratch.path() + "/build/daemon");
  CHECK(FindPreloadLibrary("", scratch.path() + "/build/daemon/watchd").value() == built);
}

TEST_CASE("A given preload library has to be there") {
  Scratch scratch;
  const std::string path = MakeFile(scratch.path() + "/other.so");
  CHECK(FindPreloadLibrary(path, "/nowhere/watchd").value() == path);
  auto missing = FindPreloadLibrary(scratch.path() + "/none.so", "/nowhere/watchd");
  REQUIRE(absl::IsNotFound(missing.status()));
  CHECK_THAT(std::string(missing.status().message()), Catch::Contains("/none.so") && Catch::Contains("--preload"));
}

TEST_CASE("A path that LD_PRELOAD cannot carry is refused") {
  Scratch scratch;
  CHECK(absl::IsInvalidArgument(FindPreloadLibrary(MakeFile(scratch.path() + "/a b/l.so"), "").status()));
  CHECK(absl::IsInvalidArgument(FindPreloadLibrary(MakeFile(scratch.path() + "/a:b/l.so"), "").status()));
}

}  // namespace
}  // namespace ocpwatch
