// argv and environment on their way into frames: a list of strings that is cut between strings where it does not fit.
#ifndef OCPWATCH_PRELOAD_RUNTIME_LISTS_H_
#define OCPWATCH_PRELOAD_RUNTIME_LISTS_H_

#include <cstddef>
#include <cstdint>

#include "ocpwatch/v1/ring.h"
#include "preload/runtime/frame_encoder.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"

namespace ocpwatch {

// The kernel's MAX_ARG_STRLEN; exec refuses what is longer.
inline constexpr size_t kLongestString = size_t{128} * 1024;
// What one frame takes of lists: leaves room for four paths and the rest.
inline constexpr size_t kListPart = kMaxFrame - size_t{64} * 1024;
static_assert(kListPart > kLongestString + FrameEncoder::kBytesOverhead);

// Whether argv or an environment can be read: the kernel fails with EFAULT where it cannot, we must not die of it. Asks
// once for each page that strings begin in; most lie side by side.
inline bool IsReadableList(const char* const* strings) {
  constexpr uintptr_t kPage = 4096;
  uintptr_t list_page = UINTPTR_MAX, string_page = UINTPTR_MAX;
  for (;; ++strings) {
    if (reinterpret_cast<uintptr_t>(strings) / kPage != list_page) {
      if (!IsReadable(strings)) return false;
      list_page = reinterpret_cast<uintptr_t>(strings) / kPage;
    }
    if (*strings == nullptr) return true;
    const uintptr_t page = reinterpret_cast<uintptr_t>(*strings) / kPage;
    if (page == string_page) continue;
    if (!IsReadable(*strings)) return false;
    string_page = page;
  }
}

// A null-terminated array of strings, or strings one behind the other (as in /proc/self/cmdline).
class StringList {
 public:
  explicit StringList(const char* const* strings) : strings_(strings), part_strings_(strings) {}
  StringList(const char* text, size_t size) : text_(text), text_end_(text + size), part_text_(text) {}

  bool done() const { return Current(strings_, text_) == nullptr; }

  // Finds how much of the rest fits into `budget` bytes: the part. Returns its encoded size.
  size_t SizeOfPart(size_t budget) {
    size_t total = 0;
    part_strings_ = strings_;
    part_text_ = text_;
    while (const char* string = Current(part_strings_, part_text_)) {
      const size_t size = LengthOf(string, kLongestString) + FrameEncoder::kBytesOverhead;
      if (total + size > budget) break;
      total += size;
      Advance(part_strings_, part_text_, string);
    }
    return total;
  }
  // Whether the part found reaches the end.
  bool at_end_of_part() const { return Current(part_strings_, part_text_) == nullptr; }

  // Writes the part and goes on behind it.
  void EncodePart(FrameEncoder& frame, uint32_t field) {
    while (strings_ != part_strings_ || text_ != part_text_) {
      const char* string = Current(strings_, text_);
      if (string == nullptr) break;
      frame.Bytes(field, string, LengthOf(string, kLongestString));
      Advance(strings_, text_, string);
    }
  }

 private:
  const char* Current(const char* const* strings, const char* text) const {
    if (strings != nullptr) return *strings;
    return text < text_end_ ? text : nullptr;
  }
  static void Advance(const char* const*& strings, const char*& text, const char* string) {
    if (strings != nullptr) {
      ++strings;
    } else {
      text = string + LengthOf(string, SIZE_MAX) + 1;
    }
  }

  const char* const* strings_ = nullptr;
  const char* text_ = nullptr;
  const char* text_end_ = nullptr;
  const char* const* part_strings_ = nullptr;
  const char* part_text_ = nullptr;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_LISTS_H_
