#include "daemon/build/absent_names.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/store/digest_cache.h"

namespace ocpwatch {
namespace {

class Directory {
 public:
  Directory() {
    char path[] = "/tmp/ocpwatch.XXXXXX";
    REQUIRE(mkdtemp(path) != nullptr);
    path_ = path;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void MakeFile(const std::string& path) {
  const int fd = open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  REQUIRE(fd >= 0);
  close(fd);
}

// Until a change of what there is now would show.
void Settle() { absl::SleepFor(absl::Nanoseconds(2 * kClockGranularityNs)); }

// As who asks does: false, then a look of its own.
bool IsAbsent(AbsentNames* names, const std::string& path) {
  if (names->Has(path)) return true;
  if (access(path.c_str(), F_OK) != 0) names->Add(path);
  return false;
}

TEST_CASE("A name that was not there is absent until something is made in its directory") {
  const Directory directory;
  Settle();
  AbsentNames names;
  CHECK_FALSE(IsAbsent(&names, directory / "a"));
  CHECK(names.Has(directory / "a"));
  CHECK_FALSE(names.Has(directory / "b"));
  names.NewMoment();
  CHECK(names.Has(directory / "a"));
  MakeFile(directory / "a");
  names.NewMoment();
  CHECK_FALSE(names.Has(directory / "a"));
}

TEST_CASE("A directory that has just been changed says nothing: the next change might not show") {
  const Directory directory;
  AbsentNames names;
  for (int i = 0; i < 3; ++i) {
    MakeFile(directory / std::to_string(i));
    names.NewMoment();
    CHECK_FALSE(IsAbsent(&names, directory / "a"));
    CHECK_FALSE(names.Has(directory / "a"));
  }
}

TEST_CASE("Below no directory nothing is, until there is one") {
  const Directory directory;
  AbsentNames names;
  CHECK(names.Has(directory / "d/a"));
  CHECK(names.Has(directory / "d/e/a"));
  REQUIRE(mkdir((directory / "d").c_str(), 0700) == 0);
  names.NewMoment();
  CHECK_FALSE(names.Has(directory / "d/a"));
}

TEST_CASE("What lies below a file is no name that is absent: who asks hears ENOTDIR") {
  const Directory directory;
  MakeFile(directory / "f");
  Settle();
  AbsentNames names;
  CHECK_FALSE(IsAbsent(&names, directory / "f/a"));
  CHECK_FALSE(names.Has(directory / "f/a"));
}

TEST_CASE("Another directory in its place has other names") {
  const Directory directory;
  REQUIRE(mkdir((directory / "d").c_str(), 0700) == 0);
  REQUIRE(mkdir((directory / "other").c_str(), 0700) == 0);
  MakeFile(directory / "other/a");
  REQUIRE(symlink("d", (directory / "link").c_str()) == 0);
  Settle();
  AbsentNames names;
  CHECK_FALSE(IsAbsent(&names, directory / "d/a"));
  CHECK_FALSE(IsAbsent(&names, directory / "link/a"));
  names.NewMoment();
  CHECK(names.Has(directory / "d/a"));
  CHECK(names.Has(directory / "link/a"));
  std::filesystem::rename(directory / "d", directory / "gone");
  std::filesystem::rename(directory / "other", directory / "d");
  names.NewMoment();
  CHECK_FALSE(names.Has(directory / "d/a"));
  CHECK_FALSE(names.Has(directory / "link/a"));
}

TEST_CASE("Times that are set back do not hide what was made") {
  const Directory directory;
  Settle();
  struct stat before;
  REQUIRE(stat(directory.path().c_str(), &before) == 0);
  AbsentNames names;
  CHECK_FALSE(IsAbsent(&names, directory / "a"));
  MakeFile(directory / "a");
  const struct timespec times[] = {before.st_atim, before.st_mtim};
  REQUIRE(utimensat(AT_FDCWD, directory.path().c_str(), times, 0) == 0);
  names.NewMoment();
  CHECK_FALSE(names.Has(directory / "a"));
}

TEST_CASE("The names of the root directory") {
  AbsentNames names;
  CHECK_FALSE(names.Has("/usr"));
  CHECK_FALSE(IsAbsent(&names, "/there-is-no-such-name"));
  names.NewMoment();
  CHECK_FALSE(names.Has("/usr"));
}

}  // namespace
}  // namespace ocpwatch
