// The two halves of vfork in C++; the middle, which must not use the stack, is in vfork_*.S.
#include <cerrno>

#include "preload/runtime/fork.h"
#include "preload/runtime/scratch.h"
#include "preload/runtime/session.h"

using namespace ocpwatch;

namespace {

// What the parent needs afterwards. It travels in two registers.
struct Token {
  uint32_t child;  // 0 if nothing is recorded.
  uint32_t self;   // The parent's vfork_process: not 0 if it is itself the child of a vfork.
  uint64_t id;     // Of the BeforeCall.
};
static_assert(sizeof(Token) == 16);

}  // namespace

// Before the system call.
extern "C" __attribute__((visibility("hidden"))) Token ocpwatch_before_vfork() {
  Birth birth;
  if (!BeginFork(FunctionId::kVfork, &birth)) return {};
  const Token token = {birth.call.child, vfork_process, birth.call.id};
  vfork_process = birth.call.child;
  return token;
}

// In the parent, when the child has executed something or ended: `result` of the system call. Returns what vfork
// returns.
extern "C" __attribute__((visibility("hidden"))) long ocpwatch_after_vfork(long result, Token token) {
  if (token.child != 0) {
    vfork_process = token.self;
    if (left_mapping.memory != nullptr) {
      RawUnmap(left_mapping.memory, left_mapping.size);
      left_mapping = {};
    }
  }
  if (Failed(result)) {
    errno = static_cast<int>(-result);
    result = -1;
  }
  if (token.child != 0 && IsActive()) {
    Birth birth;
    birth.call.function = FunctionId::kVfork;
    birth.call.child = token.child;
    birth.call.id = static_cast<uint32_t>(token.id);
    EndFork(birth, result);
  }
  return result;
}
