// One intercepted call on its way into a frame: what the generated wrappers fill in and the channel encodes.
//
// A wrapper asks BehaviourFor(); unless that is kOff it fills a Call, which lives on its stack and only points at the
// caller's own arguments, and hands it to RecordBefore() and RecordAfter(). Nothing here allocates, waits (but for a
// synchronous call or a full ring, within kStallBoundNs), or changes errno.
#ifndef OCPWATCH_PRELOAD_RUNTIME_CALL_H_
#define OCPWATCH_PRELOAD_RUNTIME_CALL_H_

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>

#include "function_ids.h"  // Generated: enum class FunctionId : uint16_t { kNone = 0, kOpen, ... }

namespace ocpwatch {

// As ocpwatch.v1.Behaviour, whose header needs libprotobuf.
enum class Behaviour : uint8_t { kOff = 0, kAfter = 1, kBeforeAndAfter = 2, kSynchronous = 3 };

struct Call {
  FunctionId function = FunctionId::kNone;
  uint32_t id = 0;  // Set by RecordBefore.
  const char* path = nullptr;
  const char* path2 = nullptr;
  int fd = AT_FDCWD;
  int fd2 = AT_FDCWD;
  uint32_t flags = 0;
  uint32_t mode = 0;
  uint64_t object = 0;
  int64_t value = 0;
  uint32_t child = 0;   // Process number for the child of a fork or spawn.
  uint32_t opaque = 0;  // ocpwatch.v1.OpaqueReason
  const char* const* argv = nullptr;
  const char* const* environment = nullptr;  // Only sent where the session collects it.
  // After the call:
  int64_t result = 0;
  int error = 0;  // errno of a failed call, else 0.
  const char* result_path = nullptr;
  int64_t result_path_size = -1;  // Bytes of result_path; -1: it ends with a NUL.
  int stat_fd = -1;               // The descriptor whose fstat goes along; -1: none.
  // What the call has found out itself; goes along in build sessions.
  const struct stat* status = nullptr;
  const struct statx* statx = nullptr;
};

// What this session wants of a function; kOff where the process is not recorded. Starts the library if that has not
// happened yet (a constructor that runs before ours may call).
Behaviour BehaviourFor(FunctionId function);

// Set once, when this process joins. In build sessions reads are told once of each descriptor instead of each or not at
// all, and more goes along: environments, what a stat found, which opens wait for an answer.
// NOLINTNEXTLINE(bugprone-dynamic-static-initializers): it is a constant at first.
extern bool in_build_session __attribute__((visibility("hidden")));

// Writes the BeforeCall for kBeforeAndAfter and kSynchronous (and waits for the daemon's permission); nothing for
// kAfter.
void RecordBefore(Call& call, Behaviour behaviour);

// The same for an exec or spawn, whose answer may say more.
class Answer;
void RecordBefore(Call& call, Behaviour behaviour, Answer* answer);

// Writes the AfterCall.
void RecordAfter(const Call& call);

// A wait has told of a child's end, and has been told. The daemon takes from a file what the child has written there,
// as the last that was written; so while any command has a file as an output, whoever waits goes on when that is done.
void HoldForOutputs(const Call& wait);

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_CALL_H_
