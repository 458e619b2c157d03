#include "daemon/build/drafts.h"

#include <catch2/catch.hpp>

namespace ocpwatch {
namespace {

constexpr PathId kPath = 7;
const Digest kOne = DigestOf("one");
const Digest kTwo = DigestOf("two");
const Digest kLonger = DigestOf("longer");

TEST_CASE("What nobody has read in the making does not differ") {
  const Drafts drafts;
  CHECK_FALSE(drafts.IsRead(kPath));
  CHECK_FALSE(drafts.Differ(kPath, kOne));
}

TEST_CASE("A product that was read as it is in the end does not differ") {
  Drafts drafts;
  drafts.Read(kPath, kOne.size);
  CHECK(drafts.IsRead(kPath));
  CHECK_FALSE(drafts.Differ(kPath, kOne));
}

TEST_CASE("A product that was read and made anew with the same content does not differ") {
  Drafts drafts;
  drafts.Read(kPath, kOne.size);
  drafts.Change(kPath, kOne);
  CHECK_FALSE(drafts.IsRead(kPath));
  CHECK_FALSE(drafts.Differ(kPath, kOne));
}

TEST_CASE("A product that was read with another content differs, of the same size too") {
  Drafts drafts;
  drafts.Read(kPath, kOne.size);
  drafts.Change(kPath, kOne);
  drafts.Read(kPath, kTwo.size);
  drafts.Change(kPath, kTwo);
  CHECK(drafts.Differ(kPath, kOne));
  CHECK(drafts.Differ(kPath, kTwo));
}

TEST_CASE("A product of which is not known what was read differs") {
  Drafts drafts;
  drafts.Read(kPath, kOne.size);
  drafts.Change(kPath, std::nullopt);
  CHECK(drafts.Differ(kPath, kOne));
}

TEST_CASE("A change that nobody told of shows by the size") {
  Drafts drafts;
  drafts.Read(kPath, kOne.size);
  SECTION("at the end") { CHECK(drafts.Differ(kPath, kLonger)); }
  SECTION("at the next reading") {
    drafts.Read(kPath, kLonger.size);
    CHECK(drafts.Differ(kPath, kLonger));
  }
}

TEST_CASE("A product that was added to differs, unless nothing was") {
  Drafts drafts;
  drafts.AddTo(kPath, kOne.size);
  CHECK_FALSE(drafts.Differ(kPath, kOne));
  CHECK(drafts.Differ(kPath, kLonger));
}

}  // namespace
}  // namespace ocpwatch
