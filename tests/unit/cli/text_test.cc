#include "cli/render/text.h"

#include <catch2/catch.hpp>

namespace ocpwatch {
namespace {

google::protobuf::RepeatedPtrField<std::string> Words(std::initializer_list<const char*> words) {
  google::protobuf::RepeatedPtrField<std::string> result;
  for (const char* word : words) result.Add(word);
  return result;
}

TEST_CASE("Control characters are escaped as in C") {
  CHECK(Printable("a\nb\tc\rd") == "a\\nb\\tc\\rd");
  CHECK(Printable("\033[31mred") == "\\e[31mred");
  CHECK(Printable(std::string_view("\0\x7f", 2)) == "\\x00\\x7f");
}

TEST_CASE("C1 controls and marks that turn the writing direction are escaped") {
  CHECK(Printable("a\xc2\x9b"
                  "31m") == "a\\xc2\\x9b31m");
  CHECK(Printable("evil\xe2\x80\xae"
                  "cod.exe") == "evil\\xe2\\x80\\xaecod.exe");
  CHECK(Printable("isolate\xe2\x81\xa6") == "isolate\\xe2\\x81\\xa6");
}

TEST_CASE("Letters of all languages are left as they are") {
  CHECK(Printable("größe/日本語/файл") == "größe/日本語/файл");
  CHECK(Printable("back\\\\slash and \\xff") == "back\\\\slash and \\xff");
}

TEST_CASE("A text that ends within a character stands for itself") {
  CHECK(!Printable("a\xe2\x80").empty());
  CHECK(DisplayWidth("a\xe2\x80") == 3);
}

TEST_CASE("Wide characters take two columns and combining ones none") {
  CHECK(DisplayWidth("abc") == 3);
  CHECK(DisplayWidth("日本") == 4);
  CHECK(DisplayWidth("e\xcc\x81") == 1);
}

TEST_CASE("A cut text fits its width, ellipsis included") {
  CHECK(Truncated("abcdef", 6, true) == "abcdef");
  CHECK(Truncated("abcdef", 5, true) == "abcd…");
  CHECK(Truncated("abcdef", 5, false) == "ab...");
  CHECK(Truncated("日本語", 4, true) == "日…");
  CHECK(Truncated("abcdef", 0, true) == "abcdef");
  CHECK(TruncatedFront("/usr/include/stdio.h", 10, true) == "…e/stdio.h");
}

TEST_CASE("Durations keep three digits or so") {
  CHECK(Duration(0) == "0.0 ms");
  CHECK(Duration(-5) == "0.0 ms");
  CHECK(Duration(412'000) == "0.4 ms");
  CHECK(Duration(12'300'000) == "12 ms");
  CHECK(Duration(999'900'000) == "1.00 s");
  CHECK(Duration(4'310'000'000) == "4.31 s");
  CHECK(Duration(125'000'000'000) == "2 min 05 s");
  CHECK(Duration(3'725'000'000'000) == "1 h 02 min");
}

TEST_CASE("Sizes and counts can be read at a glance") {
  CHECK(Size(0) == "0 B");
  CHECK(Size(999) == "999 B");
  CHECK(Size(1500) == "1.5 kB");
  CHECK(Size(20'000'000) == "20 MB");
  CHECK(Size(999'999) == "1.0 MB");
  CHECK(Count(7) == "7");
  CHECK(Count(1234567) == "1,234,567");
  CHECK(Counted(1, "command", "commands") == "1 command");
  CHECK(Counted(1000, "command", "commands") == "1,000 commands");
}

TEST_CASE("A command line can be pasted into a shell") {
  CHECK(CommandLine(Words({"gcc", "-O2", "-c", "a.c"})) == "gcc -O2 -c a.c");
  CHECK(CommandLine(Words({"sh", "-c", "echo 'it' > x"})) == "sh -c 'echo '\\''it'\\'' > x'");
  CHECK(CommandLine(Words({"echo", "", "$HOME"})) == "echo '' '$HOME'");
  CHECK(CommandLine(Words({"printf", "a\nb"})) == "printf 'a\\nb'");
}

TEST_CASE("A path below the directory is shown from there on") {
  CHECK(ShortPath("/home/me/p/src/a.c", "/home/me/p") == "src/a.c");
  CHECK(ShortPath("/home/me/p", "/home/me/p") == ".");
  CHECK(ShortPath("/home/me/project", "/home/me/p") == "/home/me/project");
  CHECK(ShortPath("/etc/passwd", "/") == "/etc/passwd");
  CHECK(ShortPath("/etc/passwd", "") == "/etc/passwd");
}

}  // namespace
}  // namespace ocpwatch
