#include "cli/render/table.h"

#include <catch2/catch.hpp>

namespace ocpwatch {
namespace {

TEST_CASE("Columns line up and no line ends in blanks") {
  std::string text;
  Output out(&text);
  Table table({{"ID", Column::kRight}, {"NAME"}, {"COMMAND", Column::kShrinks}}, Style(), &out);
  table.Add({{"1"}, {"nightly"}, {"make"}});
  table.Add({{"123"}, {""}, {"gcc -c a.c"}});
  table.Add({{"7"}, {"x"}, {""}});
  table.Finish();
  CHECK(text ==
        " ID  NAME     COMMAND\n"
        "  1  nightly  make\n"
        "123           gcc -c a.c\n"
        "  7  x\n");
}

TEST_CASE("An optional column without contents is left out") {
  std::string text;
  Output out(&text);
  Table table({{"A"}, {"B", Column::kLeft, true}, {"C"}}, Style(), &out, 2);
  table.Add({{"1"}, {""}, {"3"}});
  table.Finish();
  CHECK(text == "  A  C\n  1  3\n");
}

TEST_CASE("On a terminal the shrinking column makes a row one line") {
  Style style;
  style.width = 30;
  style.utf8 = true;
  std::string text;
  Output out(&text);
  Table table({{"ID", Column::kRight}, {"COMMAND", Column::kShrinks}, {"X"}}, style, &out);
  table.Add({{"1"}, {"gcc -c a-rather-long-name.c -o a-rather-long-name.o"}, {"y"}});
  table.Finish();
  CHECK(text ==
        "ID  COMMAND                  X\n"
        " 1  gcc -c a-rather-long-n…  y\n");
}

TEST_CASE("Minor columns make room on a narrow terminal") {
  const auto render = [](size_t width) {
    Style style;
    style.width = width;
    std::string text;
    Output out(&text);
    Table table({{"PATH", Column::kShrinksInFront}, {"READ"}, {"CHECKED", Column::kLeft, true, true}}, style, &out);
    table.Add({{"a/path/of/forty/columns/in/all/as/it/is.c"}, {"1"}, {"2"}});
    table.Finish();
    return text;
  };
  CHECK(render(56).find("CHECKED") != std::string::npos);
  CHECK(render(50).find("CHECKED") == std::string::npos);
  CHECK(render(50).find("a/path/of/forty") != std::string::npos);
}

TEST_CASE("In a pipe a long text pushes its own row on and no other") {
  std::string text;
  Output out(&text);
  Table table({{"A"}, {"B"}}, Style(), &out);
  table.Add({{std::string(300, 'x')}, {"1"}});
  table.Add({{"y"}, {"2"}});
  table.Finish();
  CHECK(text.find(std::string(300, 'x') + "  1\n") != std::string::npos);
  CHECK(text.find("y" + std::string(Table::kWidestAligned + 1, ' ') + "2\n") != std::string::npos);
}

TEST_CASE("In a pipe nothing is cut") {
  const std::string name(500, 'n');
  std::string text;
  Output out(&text);
  Table table({{"COMMAND", Column::kShrinks}}, Style(), &out);
  table.Add({{name}});
  table.Finish();
  CHECK(text == "COMMAND\n" + name + "\n");
}

TEST_CASE("Colours do not disturb the alignment") {
  Style style;
  style.colors = true;
  std::string text;
  Output out(&text);
  Table table({{"STATUS"}, {"X"}}, style, &out);
  table.Add({{"1", Color::kRed}, {"y"}});
  table.Finish();
  CHECK(text.find("\033[31m1\033[0m       y\n") != std::string::npos);
}

TEST_CASE("Rows behind the sample are written as they come") {
  std::string text;
  Output out(&text);
  Table table({{"N", Column::kRight}}, Style(), &out);
  for (size_t i = 0; i < Table::kSampleRows - 1; ++i) table.Add({{"1"}});
  CHECK(text.empty());
  table.Add({{"2"}});
  CHECK(text.size() == 2 * (Table::kSampleRows + 1));
  table.Add({{"3"}});
  CHECK(text.substr(text.size() - 4) == "2\n3\n");
  table.Finish();
  CHECK(table.rows() == Table::kSampleRows + 1);
}

TEST_CASE("A table without rows is nothing") {
  std::string text;
  Output out(&text);
  Table table({{"N"}}, Style(), &out);
  table.Finish();
  CHECK(text.empty());
}

}  // namespace
}  // namespace ocpwatch
