#include "daemon/report/escape.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ocpwatch {
namespace {

constexpr char kHex[] = "0123456789abcdef";

// How many bytes at the start of `bytes` are ASCII other than a backslash: eight at a time, since nearly all paths are
// that to their end. A report of 10 000 commands escapes a million of them.
size_t PlainPrefix(std::string_view bytes) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHigh = 0x8080808080808080;
  size_t i = 0;
  for (; i + sizeof(uint64_t) <= bytes.size(); i += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, sizeof(word));
    const uint64_t difference = word ^ (kOnes * '\\');
    // The classic test for a zero byte, which here is a backslash.
    if (((word | ((difference - kOnes) & ~difference)) & kHigh) != 0) break;
  }
  while (i < bytes.size() && static_cast<uint8_t>(bytes[i]) < 0x80 && bytes[i] != '\\') ++i;
  return i;
}

// Bytes of the well-formed character at the start of `text` (Unicode 15, table 3-7); 0: there is none.
size_t CharacterSize(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if ((first & 0xf0) == 0xe0) {
    if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f)) return 0;
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if ((first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) return 0;
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

void Escape(std::string_view bytes, bool escape_backslash, std::string* text_out) {
  std::string& text = *text_out;
  text.clear();
  while (true) {
    const size_t plain = PlainPrefix(bytes);
    text.append(bytes.substr(0, plain));
    bytes.remove_prefix(plain);
    if (bytes.empty()) break;
    const size_t size = CharacterSize(bytes);
    if (size == 0) {
      const auto byte = static_cast<uint8_t>(bytes.front());
      text.append({'\\', 'x', kHex[byte >> 4], kHex[byte & 15]});
      bytes.remove_prefix(1);
      continue;
    }
    if (escape_backslash && bytes.front() == '\\') text.push_back('\\');
    text.append(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
}

int HexDigit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

}  // namespace

std::string EscapeBytes(std::string_view bytes) {
  std::string text;
  Escape(bytes, true, &text);
  return text;
}

void EscapeBytes(std::string_view bytes, std::string* text) { Escape(bytes, true, text); }

std::string ValidUtf8(std::string_view bytes) {
  std::string text;
  Escape(bytes, false, &text);
  return text;
}

std::optional<std::string> UnescapeBytes(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes.push_back(text[i]);
    } else if (i + 1 < text.size() && text[i + 1] == '\\') {
      bytes.push_back('\\');
      ++i;
    } else {
      if (i + 3 >= text.size() || text[i + 1] != 'x') return std::nullopt;
      const int high = HexDigit(text[i + 2]);
      const int low = HexDigit(text[i + 3]);
      if (high < 0 || low < 0) return std::nullopt;
      bytes.push_back(static_cast<char>(high << 4 | low));
      i += 3;
    }
  }
  return bytes;
}

}  // namespace ocpwatch
