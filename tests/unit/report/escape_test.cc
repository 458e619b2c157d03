#include "daemon/report/escape.h"

#include <catch2/catch.hpp>
#include <random>

namespace ocpwatch {
namespace {

TEST_CASE("Plain text is itself") {
  for (const char* text :
       {"", "a", "/usr/include/stdio.h", "/a path/with \"quotes\"\n\ttabs\x1b[0m", "/äöü/日本/🙂"}) {
    CHECK(EscapeBytes(text) == text);
    CHECK(ValidUtf8(text) == text);
    CHECK(UnescapeBytes(text) == text);
  }
}

TEST_CASE("A backslash is doubled, wherever it stands") {
  CHECK(EscapeBytes("\\") == "\\\\");
  CHECK(EscapeBytes("0123456\\89abcdef\\") == "0123456\\\\89abcdef\\\\");
  CHECK(EscapeBytes("01234567\\9") == "01234567\\\\9");
  CHECK(EscapeBytes("\\xff") == "\\\\xff");
  CHECK(ValidUtf8("\\") == "\\");
}

TEST_CASE("What is not well-formed UTF-8 is escaped byte by byte") {
  CHECK(EscapeBytes("\xff") == "\\xff");
  CHECK(EscapeBytes("a\xc3") == "a\\xc3");                           // Cut off.
  CHECK(EscapeBytes("\xc0\xaf") == "\\xc0\\xaf");                    // Overlong.
  CHECK(EscapeBytes("\xe0\x80\x80") == "\\xe0\\x80\\x80");           // Overlong.
  CHECK(EscapeBytes("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // A surrogate.
  CHECK(EscapeBytes("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // Above U+10FFFF.
  CHECK(EscapeBytes("\xe2\x82\xac\xe2\x82") == "\xe2\x82\xac\\xe2\\x82");
  CHECK(EscapeBytes("/caf\xe9/x") == "/caf\\xe9/x");
}

TEST_CASE("A text with a backslash that begins no escape is refused") {
  for (const char* text : {"\\", "a\\", "\\x", "\\x1", "\\xg0", "\\xFF", "\\n"}) CHECK_FALSE(UnescapeBytes(text));
}

TEST_CASE("Any bytes come back from their escape") {
  std::mt19937 random(1);
  // Bytes that are near to UTF-8 and to escapes are met more often than by chance.
  const std::string_view alphabet = "a/\\x0f\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82\xff\x80\xed\xa0\n";
  for (int i = 0; i < 50'000; ++i) {
    std::string bytes(random() % 24, '\0');
    for (char& c : bytes)
      c = random() % 4 == 0 ? static_cast<char>(random() % 255 + 1) : alphabet[random() % alphabet.size()];
    const std::string text = EscapeBytes(bytes);
    REQUIRE(UnescapeBytes(text) == bytes);
    REQUIRE(ValidUtf8(text) == text);
  }
}

}  // namespace
}  // namespace ocpwatch
