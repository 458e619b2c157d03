#include "cli/units.h"

#include <charconv>
#include <limits>

#include "absl/strings/str_cat.h"
#include "cli/render/text.h"

namespace ocpwatch {

absl::StatusOr<uint64_t> ParseAge(const std::string& text) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, number);
  uint64_t seconds = 0;
  if (error == std::errc() && unit + 1 == end) {
    constexpr uint64_t kMinute = 60;
    constexpr uint64_t kHour = 60 * kMinute;
    constexpr uint64_t kDay = 24 * kHour;
    if (*unit == 's') seconds = 1;
    if (*unit == 'm') seconds = kMinute;
    if (*unit == 'h') seconds = kHour;
    if (*unit == 'd') seconds = kDay;
    if (*unit == 'w') seconds = 7 * kDay;
  }
  if (seconds == 0 || number == 0 || number > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", Printable(text), "\" is no age; one looks like 90s, 15m, 12h, 7d or 2w"));
  }
  return number * seconds;
}

absl::StatusOr<uint64_t> ParseSize(const std::string& text) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, number);
  int shift = -1;
  if (error == std::errc()) {
    if (unit == end) shift = 0;
    if (unit + 1 == end && (*unit == 'k' || *unit == 'K')) shift = 10;
    if (unit + 1 == end && *unit == 'M') shift = 20;
    if (unit + 1 == end && *unit == 'G') shift = 30;
    if (unit + 1 == end && *unit == 'T') shift = 40;
  }
  if (shift < 0 || number == 0 || number > (UINT64_MAX >> shift)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", Printable(text), "\" is no size; one looks like 500M, 20G or 1048576"));
  }
  return number << shift;
}

}  // namespace ocpwatch
