#include "daemon/session/descriptor_table.h"

#include <catch2/catch.hpp>

namespace ocpwatch {
namespace {

Descriptor File(PathId path, bool close_on_exec = false) { return {.path = path, .close_on_exec = close_on_exec}; }

TEST_CASE("A fork's table is its own once it changes") {
  DescriptorBudget budget;
  DescriptorTable parent(&budget);
  parent.Set(3, File(7));
  DescriptorTable child = parent;
  CHECK(budget.entries == 1);
  child.Close(3);
  child.Set(4, File(8));
  REQUIRE(parent.Find(3) != nullptr);
  CHECK(parent.Find(3)->path == 7);
  CHECK(parent.Find(4) == nullptr);
  CHECK(child.Find(3) == nullptr);
  CHECK(budget.entries == 2);
  child.Clear();
  CHECK(budget.entries == 1);
}

TEST_CASE("An exec drops what is close-on-exec") {
  DescriptorTable table;
  table.Set(3, File(7, true));
  table.Set(4, File(8));
  table.SetCloseOnExec(4, true);
  table.Set(5, File(9, true));
  table.SetCloseOnExec(5, false);
  table.DropCloseOnExec();
  CHECK(table.Find(3) == nullptr);
  CHECK(table.Find(4) == nullptr);
  CHECK(table.Find(5) != nullptr);
}

TEST_CASE("A duplicate replaces what was there, a duplicate of no file closes it") {
  DescriptorTable table;
  table.Set(3, File(7, true));
  table.Set(1, File(8));
  table.Duplicate(3, 1, false);
  REQUIRE(table.Find(1) != nullptr);
  CHECK(table.Find(1)->path == 7);
  CHECK_FALSE(table.Find(1)->close_on_exec);
  table.Duplicate(99, 1, false);
  CHECK(table.Find(1) == nullptr);
  table.Duplicate(3, 3, false);
  CHECK(table.Find(3)->close_on_exec);
}

TEST_CASE("A range is closed at both of its ends, and up to the highest number") {
  DescriptorTable table;
  for (int fd = 0; fd < 10; ++fd) table.Set(fd, File(1));
  table.CloseRange(3, 5);
  CHECK(table.size() == 7);
  CHECK(table.Find(2) != nullptr);
  CHECK(table.Find(6) != nullptr);
  table.SetCloseOnExecRange(8, UINT32_MAX);
  table.CloseRange(7, 7);
  table.DropCloseOnExec();
  CHECK(table.size() == 4);
  table.CloseRange(3, UINT32_MAX);
  CHECK(table.size() == 3);
  table.CloseRange(5, 3);
  CHECK(table.size() == 3);
}

TEST_CASE("Absurd descriptors are ignored") {
  DescriptorTable table;
  for (const int64_t fd : {int64_t{-1}, int64_t{-100}, INT64_MIN, INT64_MAX, int64_t{1} << 32}) {
    table.Set(fd, File(1));
    table.Close(fd);
    table.Duplicate(fd, 1, false);
    CHECK(table.Find(fd) == nullptr);
  }
  table.Set(INT32_MAX, File(1));
  CHECK(table.size() == 1);
  table.CloseRange(0, UINT32_MAX);
  CHECK(table.size() == 0);
}

TEST_CASE("The budget bounds what forks can copy") {
  DescriptorBudget budget;
  DescriptorTable parent(&budget);
  for (int fd = 0; fd < 100; ++fd) parent.Set(fd, File(1));
  budget.entries = DescriptorBudget::kMaxEntries - 10;
  DescriptorTable child = parent;
  child.Set(200, File(2));
  CHECK(budget.exceeded);
  CHECK(child.size() == 1);
  CHECK(parent.size() == 100);
}

}  // namespace
}  // namespace ocpwatch
