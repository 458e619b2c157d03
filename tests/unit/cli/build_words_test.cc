#include <catch2/catch.hpp>

#include "cli/render/build.h"

namespace ocpwatch {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

TEST_CASE("A build's line says what ran, what was reused, and what that saved") {
  v1::BuildTotals totals;
  totals.set_ran(3);
  totals.set_reused(41);
  totals.set_not_reusable(1);
  totals.set_saved_ns(9'800'000'000);
  CHECK(BuildWords(totals, 21 * kSecond / 10) ==
        "3 commands ran, 41 reused, 1 not reusable; 2.10 s, about 9.80 s saved");
}

TEST_CASE("A build's line leaves out what was not") {
  v1::BuildTotals totals;
  totals.set_reused(1200);
  CHECK(BuildWords(totals, kSecond / 100) == "nothing ran, 1,200 reused; 10 ms");
  totals.Clear();
  totals.set_ran(1);
  CHECK(BuildWords(totals, kSecond) == "1 command ran; 1.00 s");
}

TEST_CASE("An explanation names outcome, command and reason, and cannot disturb a terminal") {
  v1::ExplainRow row;
  row.set_outcome("ran");
  row.mutable_command()->add_argv("gcc");
  row.mutable_command()->add_argv("a b.c");
  row.set_reason("src/\033[2J.c was edited");
  std::string text;
  AppendExplanation(row, Style(), &text);
  CHECK(text == "ran           gcc 'a b.c': src/\\e[2J.c was edited\n");
  row.set_kept("it used the network");
  text.clear();
  AppendExplanation(row, Style(), &text);
  CHECK(text == "ran           gcc 'a b.c': src/\\e[2J.c was edited; not kept: it used the network\n");
}

TEST_CASE("A long command gives way to the reason") {
  v1::ExplainRow row;
  row.set_outcome("not reusable");
  row.mutable_command()->add_argv(std::string(200, 'x'));
  row.set_reason("it used the network");
  Style style;
  style.width = 80;
  std::string text;
  AppendExplanation(row, style, &text);
  CHECK(text.size() <= 82);
  CHECK(text.find("it used the network\n") != std::string::npos);
}

}  // namespace
}  // namespace ocpwatch
