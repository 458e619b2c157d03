#include "daemon/service/state_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/unit/service/scratch.h"

namespace ocpwatch {
namespace {

TEST_CASE("A state directory is made with its parents, for its owner alone") {
  Scratch scratch;
  const std::string path = scratch.path() + "/a/b/ocp-watch";
  auto state = StateDirectory::Open(path);
  REQUIRE(state.ok());
  struct stat status;
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
}

TEST_CASE("A second daemon is told who has the state directory, until that lets go") {
  Scratch scratch;
  auto first = StateDirectory::Open(scratch.path());
  REQUIRE(first.ok());
  auto second = StateDirectory::Open(scratch.path());
  REQUIRE(absl::IsAlreadyExists(second.status()));
  CHECK_THAT(std::string(second.status().message()), Catch::Contains(absl::StrCat("pid ", getpid())));
  first->Unlock();
  CHECK(StateDirectory::Open(scratch.path()).ok());
}

TEST_CASE("A file in the state directory's place is an error that names it") {
  Scratch scratch;
  std::ofstream(scratch.path() + "/file") << "x";
  auto state = StateDirectory::Open(scratch.path() + "/file/state");
  REQUIRE_FALSE(state.ok());
  CHECK_THAT(std::string(state.status().message()), Catch::Contains(scratch.path() + "/file"));
}

TEST_CASE("Without a home the state is kept in the runtime directory") {
  Scratch scratch;
  // The file in the way makes the state's place unusable for root too.
  std::ofstream(scratch.path() + "/home") << "x";
  const char* old = getenv("XDG_STATE_HOME");
  const std::string saved = old == nullptr ? "" : old;
  setenv("XDG_STATE_HOME", (scratch.path() + "/home").c_str(), 1);
  CHECK(StateDirectory::DefaultPath(scratch.path()) == scratch.path() + "/state");
  setenv("XDG_STATE_HOME", (scratch.path() + "/there").c_str(), 1);
  CHECK(StateDirectory::DefaultPath(scratch.path()) == scratch.path() + "/there/ocp-watch");
  old == nullptr ? unsetenv("XDG_STATE_HOME") : setenv("XDG_STATE_HOME", saved.c_str(), 1);
}

}  // namespace
}  // namespace ocpwatch
