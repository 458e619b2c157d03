// The frames by which a process announces itself (Proc of intercept.proto).
#ifndef OCPWATCH_PRELOAD_RUNTIME_ANNOUNCE_H_
#define OCPWATCH_PRELOAD_RUNTIME_ANNOUNCE_H_

#include <cstdint>

namespace ocpwatch {

// A program has been started. `argv` null: as the kernel has it. `opaque_ancestor`: not 0 if it was reached through a
// program that could not be observed; the nearest observed process.
void AnnounceImage(const char* const* argv, uint32_t opaque_ancestor);

// We are the child of a fork by process `parent`.
void AnnounceFork(uint32_t parent);

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_ANNOUNCE_H_
