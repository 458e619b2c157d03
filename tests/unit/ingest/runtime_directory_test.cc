#include "daemon/ingest/runtime_directory.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "daemon/ingest/peer.h"

namespace ocpwatch {
namespace {

class RuntimeDirectoryFixture {
 public:
  RuntimeDirectoryFixture() { REQUIRE(mkdtemp(top_.data()) != nullptr); }
  ~RuntimeDirectoryFixture() {
    std::error_code ignored;
    std::filesystem::remove_all(top_, ignored);
  }

 protected:
  std::string Fallback() const { return top_ + "/ocp-watch-" + std::to_string(geteuid()); }

  std::string top_ = "/tmp/ocpw-XXXXXX";
};

mode_t ModeOf(const std::string& path) {
  struct stat status {};
  REQUIRE(lstat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

UniqueFd Connect(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), path.size());
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

}  // namespace

TEST_CASE_METHOD(RuntimeDirectoryFixture, "The runtime directory is made for us alone") {
  const auto path = RuntimeDirectoryIn(top_.c_str(), "/nowhere");
  REQUIRE(path.ok());
  CHECK(*path == top_ + "/ocp-watch");
  CHECK(ModeOf(*path) == 0700);
  // One that is there is used, and made private.
  REQUIRE(chmod(path->c_str(), 0755) == 0);
  REQUIRE(RuntimeDirectoryIn(top_.c_str(), "/nowhere").ok());
  CHECK(ModeOf(*path) == 0700);
}

TEST_CASE_METHOD(RuntimeDirectoryFixture, "Without a runtime directory of our own it is the one in /tmp") {
  const std::string missing = top_ + "/missing";
  const char* variables[] = {nullptr, "", "relative", missing.c_str()};
  for (const char* variable : variables) {
    const auto path = RuntimeDirectoryIn(variable, top_);
    REQUIRE(path.ok());
    CHECK(*path == Fallback());
  }
  // Of another user; whoever runs this, one of the two is.
  if (geteuid() == 0) {
    REQUIRE(chown(top_.c_str(), 65534, 65534) == 0);
    const auto path = RuntimeDirectoryIn(top_.c_str(), top_);
    REQUIRE(chown(top_.c_str(), 0, 0) == 0);
    REQUIRE(path.ok());
    CHECK(*path == Fallback());
  } else {
    CHECK(RuntimeDirectoryIn("/", top_).value() == Fallback());
  }
}

TEST_CASE_METHOD(RuntimeDirectoryFixture, "What somebody has put in the runtime directory's place is refused") {
  std::string reason;
  SECTION("a link") {
    std::filesystem::create_directory(top_ + "/elsewhere");
    std::filesystem::create_directory_symlink(top_ + "/elsewhere", Fallback());
    reason = "not a directory";
  }
  SECTION("a file") {
    std::ofstream(Fallback()) << "x";
    reason = "not a directory";
  }
  SECTION("a directory of somebody else") {
    if (geteuid() != 0) return;
    std::filesystem::create_directory(Fallback());
    REQUIRE(chown(Fallback().c_str(), 65534, 65534) == 0);
    reason = "belongs to user 65534";
  }
  const auto path = RuntimeDirectoryIn(nullptr, top_);
  REQUIRE(path.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(std::string(path.status().message()).find(reason) != std::string::npos);
}

TEST_CASE_METHOD(RuntimeDirectoryFixture, "A socket's path that is too long is an error that says what to do") {
  const std::string deep = top_ + "/" + std::string(90, 'd');
  std::filesystem::create_directory(deep);
  const absl::Status status = RuntimeDirectoryIn(deep.c_str(), "/tmp").status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(status.message()).find("XDG_RUNTIME_DIR") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(deep + "/ocp-watch"));
  CHECK(ListenUnix(top_ + "/" + std::string(kMaxSocketPath, 's')).status().code() ==
        absl::StatusCode::kInvalidArgument);
  const std::string longest = top_ + "/" + std::string(kMaxSocketPath - top_.size() - 1, 's');
  const auto listener = ListenUnix(longest);
  REQUIRE(listener.ok());
  CHECK(Connect(longest).valid());
}

TEST_CASE_METHOD(RuntimeDirectoryFixture, "A stale socket is replaced, nothing else is") {
  const std::string path = top_ + "/x.sock";
  { REQUIRE(ListenUnix(path).ok()); }
  CHECK_FALSE(Connect(path).valid());
  const auto listener = ListenUnix(path);
  REQUIRE(listener.ok());
  CHECK(ModeOf(path) == 0600);
  CHECK(Connect(path).valid());

  const std::string file = top_ + "/file";
  std::ofstream(file) << "precious";
  CHECK(ListenUnix(file).status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(std::filesystem::file_size(file) == 8);
}

TEST_CASE("Only our own user's processes are let in") {
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  const UniqueFd one(pair[0]);
  const UniqueFd two(pair[1]);
  CHECK(CheckPeer(one.get()).ok());
  const absl::Status status = CheckPeer(one.get(), geteuid() + 1);
  CHECK(status.code() == absl::StatusCode::kPermissionDenied);
  CHECK(std::string(status.message()).find(std::to_string(geteuid())) != std::string::npos);
  CHECK_FALSE(CheckPeer(-1).ok());
}

}  // namespace ocpwatch
