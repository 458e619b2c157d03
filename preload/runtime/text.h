// The few operations on bytes and C strings that the library needs. libc's would do, but sanitizers interpose them: the
// program would be judged by what we read and write.
#ifndef OCPWATCH_PRELOAD_RUNTIME_TEXT_H_
#define OCPWATCH_PRELOAD_RUNTIME_TEXT_H_

#include <cstddef>
#include <cstdint>

namespace ocpwatch {

// Bytes before the NUL, at most `limit`. Reads aligned words: eight bytes at a time, never past the page of the NUL.
inline size_t LengthOf(const char* text, size_t limit) {
  constexpr uint64_t kOnes = 0x0101010101010101, kHigh = 0x8080808080808080;
  using Word __attribute__((may_alias)) = uint64_t;
  size_t length = 0;
  for (; length < limit && (reinterpret_cast<uintptr_t>(text + length) & 7) != 0; ++length) {
    if (text[length] == 0) return length;
  }
  for (; length < limit; length += 8) {
    const uint64_t word = *reinterpret_cast<const Word*>(text + length);
    const uint64_t zero = (word - kOnes) & ~word & kHigh;
    if (zero == 0) continue;
    length += static_cast<size_t>(__builtin_ctzll(zero)) / 8;
    break;
  }
  return length < limit ? length : limit;
}

inline char* Append(char* to, const char* from, size_t size) {
  __builtin_memcpy(to, from, size);
  return to + size;
}

// At most 20 digits.
inline char* AppendDecimal(char* to, uint64_t value) {
  char digits[20];
  size_t count = 0;
  do {
    digits[count++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (count > 0) *to++ = digits[--count];
  return to;
}

inline bool Equal(const char* a, const char* b, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

inline bool StartsWith(const char* text, const char* prefix) {
  while (*prefix != 0) {
    if (*text++ != *prefix++) return false;
  }
  return true;
}

// The first `wanted` in text, or its NUL.
inline const char* FindOrEnd(const char* text, char wanted) {
  while (*text != 0 && *text != wanted) ++text;
  return text;
}

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_TEXT_H_
