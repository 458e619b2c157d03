#include "daemon/store/checksums.h"

#include <catch2/catch.hpp>
#include <string>

namespace ocpwatch {
namespace {

Digest Read(Checksums* checksums, const std::string& content, const Digest* expected = nullptr) {
  Checksums::Reading reading =
      expected == nullptr ? Checksums::Reading(checksums) : Checksums::Reading(checksums, *expected);
  // In parts.
  reading.Add(std::string_view(content).substr(0, content.size() / 3));
  reading.Add(std::string_view(content).substr(content.size() / 3));
  return reading.Finish();
}

TEST_CASE("a content is what it is, the first time and each time after") {
  Checksums checksums;
  for (const std::string& content : {std::string(), std::string("x"), std::string(300'000, 'y')}) {
    const Digest digest = DigestOf(content);
    CHECK(Read(&checksums, content) == digest);
    CHECK(Read(&checksums, content, &digest) == digest);
    CHECK(Read(&checksums, content, &digest) == digest);
  }
}

TEST_CASE("a damaged content is not what it should be, the first time and each time after") {
  Checksums checksums;
  const std::string content(100'000, 'x');
  const Digest digest = DigestOf(content);
  std::string damaged = content;
  damaged[77'777] ^= 1;
  const auto is_told = [&] {
    return Read(&checksums, damaged, &digest) != digest && Read(&checksums, content + "x", &digest) != digest &&
           Read(&checksums, content.substr(1), &digest) != digest && Read(&checksums, "", &digest) != digest;
  };
  CHECK(is_told());
  CHECK(Read(&checksums, content, &digest) == digest);
  CHECK(is_told());
}

}  // namespace
}  // namespace ocpwatch
