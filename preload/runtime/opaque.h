// ocpwatch.v1.OpaqueReason, whose header needs libprotobuf. A unit test compares the two.
#ifndef OCPWATCH_PRELOAD_RUNTIME_OPAQUE_H_
#define OCPWATCH_PRELOAD_RUNTIME_OPAQUE_H_

#include <cstdint>

namespace ocpwatch {

enum class Opaque : uint32_t {
  kNone = 0,
  kStatic = 1,
  kSetuid = 2,
  kCapabilities = 3,
  kOtherClass = 4,
  kOtherLibc = 5,
  kGo = 6,
  kUnreachable = 7,
  kUnreadable = 9,
  kIoUring = 10,
  kRawSyscall = 11,
  kCloned = 14,
};

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_OPAQUE_H_
