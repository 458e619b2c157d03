#include "cli/render/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace ocpwatch {
namespace {

struct Rune {
  char32_t code;
  size_t bytes;
};

// The daemon sends valid UTF-8 only; a byte that is none after all stands for itself.
Rune Decode(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t bytes = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (bytes == 1 || bytes > text.size()) return {lead, 1};
  char32_t code = lead & (0xFFu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3F);
  return {code, bytes};
}

bool IsControl(char32_t code) { return code < 0x20 || (code >= 0x7F && code < 0xA0); }

// Marks that reorder the text around them, and the separators that some terminals break a line at.
bool IsDirection(char32_t code) {
  return code == 0x061C || code == 0x200E || code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069);
}

size_t RuneWidth(char32_t code) {
  struct Range {
    char32_t first, last;
  };
  // The blocks that terminals agree on; single exceptions cost a column of alignment and nothing else.
  static constexpr std::array<Range, 5> kZero = {
      {{0x0300, 0x036F}, {0x200B, 0x200D}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}}};
  static constexpr std::array<Range, 9> kWide = {{{0x1100, 0x115F},
                                                  {0x2E80, 0xA4CF},
                                                  {0xAC00, 0xD7A3},
                                                  {0xF900, 0xFAFF},
                                                  {0xFE30, 0xFE6F},
                                                  {0xFF00, 0xFF60},
                                                  {0xFFE0, 0xFFE6},
                                                  {0x1F300, 0x1F9FF},
                                                  {0x20000, 0x3FFFD}}};
  if (code < 0x300) return 1;
  const auto holds = [code](const Range& range) { return code >= range.first && code <= range.last; };
  if (std::any_of(kZero.begin(), kZero.end(), holds)) return 0;
  return std::any_of(kWide.begin(), kWide.end(), holds) ? 2 : 1;
}

std::string_view Ellipsis(bool utf8) { return utf8 ? "…" : "..."; }

template <typename... Args>
std::string Format(const char* format, Args... args) {
  char buffer[64];
  const int length = snprintf(buffer, sizeof buffer, format, args...);
  return std::string(buffer, static_cast<size_t>(length));
}

void AppendHex(std::string_view bytes, std::string* out) {
  for (const char c : bytes) *out += Format("\\x%02x", static_cast<unsigned char>(c));
}

bool NeedsQuotes(std::string_view word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  return word.empty() || std::any_of(word.begin(), word.end(), [&](char c) {
           return static_cast<unsigned char>(c) < 0x80 && kPlain.find(c) == std::string_view::npos;
         });
}

}  // namespace

std::string Printable(std::string_view text) {
  // Nearly all: a report has millions of them.
  if (std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; })) return std::string(text);
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Rune rune = Decode(text);
    const std::string_view bytes = text.substr(0, rune.bytes);
    text.remove_prefix(rune.bytes);
    if (rune.code == '\n') {
      out += "\\n";
    } else if (rune.code == '\t') {
      out += "\\t";
    } else if (rune.code == '\r') {
      out += "\\r";
    } else if (rune.code == 0x1B) {
      out += "\\e";
    } else if (IsControl(rune.code) || IsDirection(rune.code)) {
      AppendHex(bytes, &out);
    } else {
      out += bytes;
    }
  }
  return out;
}

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const Rune rune = Decode(text);
    width += RuneWidth(rune.code);
    text.remove_prefix(rune.bytes);
  }
  return width;
}

std::string Truncated(std::string_view text, size_t width, bool utf8) {
  if (width == 0 || DisplayWidth(text) <= width) return std::string(text);
  const std::string_view ellipsis = Ellipsis(utf8);
  const size_t room = width > DisplayWidth(ellipsis) ? width - DisplayWidth(ellipsis) : 0;
  size_t used = 0;
  size_t end = 0;
  while (end < text.size()) {
    const Rune rune = Decode(text.substr(end));
    if (used + RuneWidth(rune.code) > room) break;
    used += RuneWidth(rune.code);
    end += rune.bytes;
  }
  return std::string(text.substr(0, end)) + std::string(ellipsis);
}

std::string TruncatedFront(std::string_view text, size_t width, bool utf8) {
  size_t over = DisplayWidth(text);
  if (width == 0 || over <= width) return std::string(text);
  const std::string_view ellipsis = Ellipsis(utf8);
  const size_t room = width > DisplayWidth(ellipsis) ? width - DisplayWidth(ellipsis) : 0;
  while (!text.empty() && over > room) {
    const Rune rune = Decode(text);
    over -= RuneWidth(rune.code);
    text.remove_prefix(rune.bytes);
  }
  return std::string(ellipsis) + std::string(text);
}

std::string Duration(int64_t ns) {
  const double seconds = static_cast<double>(std::max<int64_t>(ns, 0)) / 1e9;
  if (seconds < 0.00995) return Format("%.1f ms", seconds * 1e3);
  if (seconds < 0.9995) return Format("%.0f ms", seconds * 1e3);
  if (seconds < 59.995) return Format("%.2f s", seconds);
  const auto whole = std::llround(seconds);
  if (whole < 3600) return Format("%d min %02d s", static_cast<int>(whole / 60), static_cast<int>(whole % 60));
  return Format("%lld h %02d min", whole / 3600, static_cast<int>(whole / 60 % 60));
}

std::string Size(uint64_t bytes) {
  if (bytes < 1000) return Format("%d B", static_cast<int>(bytes));
  static constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
  auto value = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return Format(value < 9.95 ? "%.1f %s" : "%.0f %s", value, kUnits[unit]);
}

std::string Count(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string Counted(uint64_t number, std::string_view singular, std::string_view plural) {
  return Count(number) + " " + std::string(number == 1 ? singular : plural);
}

std::string CommandLine(const google::protobuf::RepeatedPtrField<std::string>& argv) {
  std::string line;
  for (const std::string& word : argv) {
    if (!line.empty()) line += ' ';
    if (!NeedsQuotes(word)) {
      line += Printable(word);
      continue;
    }
    line += '\'';
    for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return Printable(line);
}

std::string ShortPath(std::string_view path, std::string_view directory) {
  if (path == directory && !path.empty()) return ".";
  if (directory.size() > 1 && path.size() > directory.size() && path.substr(0, directory.size()) == directory &&
      path[directory.size()] == '/') {
    return Printable(path.substr(directory.size() + 1));
  }
  return Printable(path);
}

}  // namespace ocpwatch
