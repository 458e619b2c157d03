#include "daemon/build/descriptors.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "daemon/build/process_state.h"
#include "daemon/ingest/unique_fd.h"
#include "tests/unit/store/store_world.h"

namespace ocpwatch {
namespace {

using Kind = OpenDescriptor::Kind;

const OpenDescriptor* FindIn(const std::vector<OpenDescriptor>& open, int fd) {
  const auto found = std::find_if(open.begin(), open.end(), [fd](const OpenDescriptor& one) { return one.fd == fd; });
  return found == open.end() ? nullptr : &*found;
}

TEST_CASE("A process's descriptors are what they are, with offset and flags") {
  const StoreWorld files;
  const std::string path = files.Write("file", "content");
  const UniqueFd file(open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
  REQUIRE(lseek(file.get(), 3, SEEK_SET) == 3);
  const UniqueFd null(open("/dev/null", O_WRONLY));
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const UniqueFd read_end(ends[0]), write_end(ends[1]);

  const std::vector<OpenDescriptor> open = DescriptorsOf(getpid());
  const OpenDescriptor* const found = FindIn(open, file.get());
  REQUIRE(found != nullptr);
  CHECK(found->kind == Kind::kFile);
  CHECK(found->path == path);
  CHECK(found->offset == 3);
  CHECK((found->flags & O_APPEND) != 0);
  CHECK(found->readable());
  CHECK(found->writable());
  CHECK(found->close_on_exec);
  REQUIRE(FindIn(open, null.get()) != nullptr);
  CHECK(FindIn(open, null.get())->kind == Kind::kNull);
  CHECK_FALSE(FindIn(open, null.get())->readable());
  REQUIRE(FindIn(open, ends[0]) != nullptr);
  CHECK(FindIn(open, ends[0])->kind == Kind::kPipe);
  CHECK(FindIn(open, ends[0])->SameAs(*FindIn(open, ends[1])));
  CHECK(FindIn(AfterExec(getpid(), open), file.get()) == nullptr);
  CHECK(FindIn(AfterExec(getpid(), open), null.get()) != nullptr);
}

TEST_CASE("A standard input without a writer is as good as /dev/null") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  std::vector<OpenDescriptor> open(1);
  open[0].fd = 0;
  open[0].source_fd = ends[0];
  open[0].kind = Kind::kPipe;
  CHECK(AfterExec(getpid(), open)[0].kind == Kind::kPipe);
  REQUIRE(write(write_end.get(), "x", 1) == 1);
  write_end.reset();
  CHECK(AfterExec(getpid(), open)[0].kind == Kind::kPipe);
  char byte;
  REQUIRE(read(read_end.get(), &byte, 1) == 1);
  CHECK(AfterExec(getpid(), open)[0].kind == Kind::kNull);
}

TEST_CASE("The actions of a spawn are followed") {
  std::vector<OpenDescriptor> open(2);
  open[0].fd = open[0].source_fd = 1;
  open[0].kind = Kind::kPipe;
  open[1].fd = open[1].source_fd = 5;
  open[1].kind = Kind::kTerminal;
  open[1].close_on_exec = true;
  SpawnAction dup;
  dup.kind = v1::FILE_ACTION_DUP2;
  dup.fd = 5;
  dup.fd2 = 1;
  SpawnAction opened;
  opened.kind = v1::FILE_ACTION_OPEN;
  opened.fd = 0;
  opened.path = "null";
  const std::vector<OpenDescriptor> after = AfterExec(getpid(), AfterActions(open, {dup, opened}, "/dev"));
  REQUIRE(after.size() == 2);
  CHECK(after[0].fd == 0);
  CHECK(after[0].kind == Kind::kNull);
  CHECK(after[0].source_fd == -1);
  CHECK(after[1].fd == 1);
  CHECK(after[1].kind == Kind::kTerminal);
  CHECK(after[1].source_fd == 5);
}

TEST_CASE("A status says what a descriptor is") {
  struct stat status;
  REQUIRE(stat("/dev/null", &status) == 0);
  v1::FileStat told;
  told.set_mode(status.st_mode);
  told.set_rdev(status.st_rdev);
  CHECK(FromStat(told).kind == Kind::kNull);
  told.set_mode(S_IFIFO | 0600);
  told.set_dev(3);
  told.set_ino(4);
  CHECK(FromStat(told).kind == Kind::kPipe);
  CHECK(FromStat(told).dev == 3);
  CHECK(FromStat(told).ino == 4);
}

TEST_CASE("A process's umask and what it has written are read") {
  const mode_t before = umask(027);
  CHECK(UmaskOf(getpid()) == 027u);
  umask(before);
  const auto written = BytesWritten(getpid());
  if (written.has_value()) {  // Not with the threads of a sanitizer.
    const UniqueFd null(open("/dev/null", O_WRONLY));
    REQUIRE(write(null.get(), "12345", 5) == 5);
    CHECK(BytesWritten(getpid()) == *written + 5);
  }
  CHECK_FALSE(UmaskOf(0).has_value());
  CHECK_FALSE(BytesWritten(-1).has_value());
}

TEST_CASE("A limit and an ignored signal are attributes, and how far a descriptor is can be told") {
  const auto before = AttributesOf(getpid());
  REQUIRE(before.has_value());
  CHECK(AttributesOf(getpid())->others == before->others);
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_CORE, &limit) == 0);
  const rlimit other = {limit.rlim_cur == 1 ? rlim_t{0} : rlim_t{1}, limit.rlim_max};
  if (limit.rlim_max > 0) {
    REQUIRE(setrlimit(RLIMIT_CORE, &other) == 0);
    CHECK(AttributesOf(getpid())->others != before->others);
    REQUIRE(setrlimit(RLIMIT_CORE, &limit) == 0);
  }
  const auto handler = signal(SIGUSR2, SIG_IGN);
  CHECK(AttributesOf(getpid())->others != before->others);
  signal(SIGUSR2, handler);
  CHECK(AttributesOf(getpid())->others == before->others);
  CHECK_FALSE(AttributesOf(-1).has_value());

  const UniqueFd self(open("/proc/self/exe", O_RDONLY));
  struct stat status;
  REQUIRE(fstat(self.get(), &status) == 0);
  REQUIRE(lseek(self.get(), 17, SEEK_SET) == 17);
  CHECK(OffsetOf(getpid(), self.get(), status.st_dev, status.st_ino) == 17u);
  CHECK_FALSE(OffsetOf(getpid(), self.get(), status.st_dev, status.st_ino + 1).has_value());
}

TEST_CASE("A file without a name is known by its content") {
  const UniqueFd file(open("/tmp", O_TMPFILE | O_RDWR, 0600));
  if (!file.valid()) return;  // Not on every file system.
  REQUIRE(write(file.get(), "content", 7) == 7);
  std::vector<OpenDescriptor> open;
  for (const OpenDescriptor& one : DescriptorsOf(getpid())) {
    if (one.fd == file.get()) open.push_back(one);
  }
  REQUIRE(open.size() == 1);
  REQUIRE(NameNameless(getpid(), &open));
  const std::string name = open[0].path;
  CHECK(name.starts_with("sha256:"));
  REQUIRE(pwrite(file.get(), "C", 1, 0) == 1);
  REQUIRE(NameNameless(getpid(), &open));
  CHECK(open[0].path != name);
}

TEST_CASE("A field of proc is found at the start of a line only") {
  CHECK(NumberAfter("Name:\tUmask:9\nUmask:\t0027\n", "Umask:", 8) == 027u);
  CHECK_FALSE(NumberAfter("Name:\tUmask:9\n", "Umask:", 8).has_value());
}

}  // namespace
}  // namespace ocpwatch
