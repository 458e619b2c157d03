#include "preload/runtime/lazy_calls.h"

#include <cstddef>
#include <cstdint>

#include "real_calls.h"

// In lazy_calls_*.S.
extern "C" const unsigned char ocpwatch_call_stubs[] __attribute__((visibility("hidden")));

namespace ocpwatch {
namespace {

constexpr size_t kStubs = 512;
constexpr size_t kStubSize = 16;
constexpr size_t kCalls = sizeof(RealCalls) / sizeof(void*);
static_assert(kCalls <= kStubs);

}  // namespace

void PrepareRealCalls() {
  if (real.open != nullptr) return;
#if defined(__x86_64__)
  // From the end: `open`, by which we tell, is the first.
  for (size_t i = kCalls; i-- > 0;) {
    reinterpret_cast<const void**>(&real)[i] = ocpwatch_call_stubs + i * kStubSize;
  }
#else
  ResolveRealCalls();
#endif
}

}  // namespace ocpwatch

extern "C" void* ocpwatch_find_call(size_t index) { return ocpwatch::ResolveRealCall(index); }
