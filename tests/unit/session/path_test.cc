#include "daemon/session/path.h"

#include <catch2/catch.hpp>

namespace ocpwatch {
namespace {

std::string Resolve(std::string_view base, std::string_view path, std::string_view root = "/") {
  std::string result = "stale";
  return ResolvePath(root, base, path, &result) ? result : "refused:" + result;
}

TEST_CASE("A relative path starts from its base") {
  CHECK(Resolve("/src", "a.c") == "/src/a.c");
  CHECK(Resolve("/", "a.c") == "/a.c");
  CHECK(Resolve("/src", ".") == "/src");
}

TEST_CASE("An absolute path ignores its base") { CHECK(Resolve("/src", "/etc/passwd") == "/etc/passwd"); }

TEST_CASE("Dots and doubled slashes vanish") {
  CHECK(Resolve("/src", "./a//b/./c/") == "/src/a/b/c");
  CHECK(Resolve("/src", "../lib/../x") == "/x");
  CHECK(Resolve("/src", "//usr///include/") == "/usr/include");
  CHECK(Resolve("/a", "..") == "/");
}

TEST_CASE("Dots inside of a name are part of it") {
  CHECK(Resolve("/src", "..a/...") == "/src/..a/...");
  CHECK(Resolve("/src", ".git") == "/src/.git");
}

TEST_CASE("Nothing leads above the root") {
  CHECK(Resolve("/", "../../etc") == "/etc");
  CHECK(Resolve("/", "/..") == "/");
}

TEST_CASE("A chroot stands before absolute paths and holds dots back") {
  CHECK(Resolve("/jail/tmp", "/etc/passwd", "/jail") == "/jail/etc/passwd");
  CHECK(Resolve("/jail/tmp", "../../../x", "/jail") == "/jail/x");
  CHECK(Resolve("/jail/tmp", "/..", "/jail") == "/jail");
  CHECK(Resolve("/elsewhere/a", "../b", "/jail") == "/elsewhere/b");
  CHECK(Resolve("/jailbird/a", "../../b", "/jail") == "/b");
}

TEST_CASE("Bytes are kept as they are") { CHECK(Resolve("/src", "a\xff\n\t\"b") == "/src/a\xff\n\t\"b"); }

TEST_CASE("An empty or endless path is refused") {
  CHECK(Resolve("/src", "") == "refused:");
  CHECK(Resolve("/src", std::string(kMaxResolvedPath, 'x')) == "refused:");
}

}  // namespace
}  // namespace ocpwatch
