// memcpy and its like, for the calls that the compiler makes up and for the generated code. Hidden, so that they are
// ours and not a sanitizer's interceptors (text.h says why). Short copies are what there is: paths and argument
// strings.
#if !defined(__clang__)
#pragma GCC optimize("no-tree-loop-distribute-patterns")  // It would make of these loops calls of what they define.
#endif

#include <cstddef>
#include <cstdint>

#include "preload/runtime/text.h"

namespace {

using Unaligned __attribute__((may_alias, aligned(1))) = uint64_t;

}  // namespace

// An asm label, because the compiler declares the names itself, and visible.
#define OCPWATCH_LOCAL(result, name, parameters)            \
  extern "C" result Local_##name parameters __asm__(#name); \
  extern "C" result Local_##name parameters

OCPWATCH_LOCAL(void*, memcpy, (void* to, const void* from, size_t size)) {
  auto* target = static_cast<unsigned char*>(to);
  auto* source = static_cast<const unsigned char*>(from);
  while (size >= 8) {
    *reinterpret_cast<Unaligned*>(target) = *reinterpret_cast<const Unaligned*>(source);
    target += 8;
    source += 8;
    size -= 8;
  }
  while (size-- > 0) *target++ = *source++;
  return to;
}

OCPWATCH_LOCAL(void*, memmove, (void* to, const void* from, size_t size)) {
  auto* target = static_cast<unsigned char*>(to);
  auto* source = static_cast<const unsigned char*>(from);
  if (target <= source) {
    while (size-- > 0) *target++ = *source++;
  } else {
    while (size-- > 0) target[size] = source[size];
  }
  return to;
}

OCPWATCH_LOCAL(void*, memset, (void* to, int value, size_t size)) {
  auto* target = static_cast<unsigned char*>(to);
  while (size-- > 0) *target++ = static_cast<unsigned char>(value);
  return to;
}

OCPWATCH_LOCAL(int, memcmp, (const void* a, const void* b, size_t size)) {
  auto* left = static_cast<const unsigned char*>(a);
  auto* right = static_cast<const unsigned char*>(b);
  for (; size-- > 0; ++left, ++right) {
    if (*left != *right) return *left < *right ? -1 : 1;
  }
  return 0;
}

OCPWATCH_LOCAL(size_t, strlen, (const char* text)) { return ocpwatch::LengthOf(text, SIZE_MAX); }

OCPWATCH_LOCAL(int, strcmp, (const char* a, const char* b)) {
  while (*a != 0 && *a == *b) {
    ++a;
    ++b;
  }
  return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
}
