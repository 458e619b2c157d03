#include "ocpwatch/v1/succession.h"

#include <catch2/catch.hpp>

namespace ocpwatch {
namespace {

TEST_CASE("Versions are compared by their numbers") {
  CHECK(IsLater("0.10.0", "0.9.1"));
  CHECK(IsLater("1.0.1", "1.0"));
  CHECK_FALSE(IsLater("1.0", "1.0.0"));
  CHECK_FALSE(IsLater("0.9.1", "0.10.0"));
}

TEST_CASE("A daemon makes way for a later version, and for another build of its own") {
  CHECK(MakesWay({"1.0", "a"}, {"1.1", "a"}));
  CHECK(MakesWay({"1.0", "a"}, {"1.0", "b"}));
  CHECK_FALSE(MakesWay({"1.0", "a"}, {"1.0", "a"}));
  CHECK_FALSE(MakesWay({"1.1", "a"}, {"1.0", "b"}));
}

}  // namespace
}  // namespace ocpwatch
