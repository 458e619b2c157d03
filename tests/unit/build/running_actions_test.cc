#include "daemon/build/running_actions.h"

#include <catch2/catch.hpp>
#include <utility>

namespace ocpwatch {
namespace {

const int mine = 0;
const int theirs = 0;

TEST_CASE("Of equal actions one runs") {
  RunningActions running;
  auto first = running.Begin("f", {&theirs, 17});
  CHECK(first.held());
  CHECK_FALSE(running.Begin("f", {&mine, 18}).held());
  CHECK(running.Begin("g", {&mine, 18}).held());
  CHECK(running.Elsewhere("f", &mine) == 17);
  first.SetPid(19);
  CHECK(running.Elsewhere("f", &mine) == 19);
  CHECK_FALSE(running.Elsewhere("f", &theirs).has_value());
  CHECK_FALSE(running.Elsewhere("g", &mine).has_value());
}

TEST_CASE("A ticket that is returned, dropped or given on lets others run") {
  RunningActions running;
  {
    auto ticket = running.Begin("f", {&theirs, 17});
    const auto heir = std::move(ticket);
    CHECK(running.Elsewhere("f", &mine) == 17);
  }
  CHECK_FALSE(running.Elsewhere("f", &mine).has_value());
  auto ticket = running.Begin("f", {&theirs, 17});
  ticket.Return();
  CHECK_FALSE(ticket.held());
  CHECK(running.Begin("f", {&mine, 18}).held());
}

}  // namespace
}  // namespace ocpwatch
