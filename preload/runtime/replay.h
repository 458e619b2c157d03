// The command line by which ocp-watch-replay (preload/replay) carries out an answer in the child of a spawn.
#ifndef OCPWATCH_PRELOAD_RUNTIME_REPLAY_H_
#define OCPWATCH_PRELOAD_RUNTIME_REPLAY_H_

#include <limits.h>

#include <cstddef>

#include "preload/runtime/answer.h"

namespace ocpwatch {

// Puts the program's path into `path`. False if the library has no place of its own.
bool ReplayProgram(char (&path)[PATH_MAX]);

// Lies on the stack of who spawns.
class ReplayArguments {
 public:
  explicit ReplayArguments(const Answer& answer);

  // False: the answer is that of a plain Proceed, or its words cannot be read.
  bool usable() const { return usable_; }

  // Bytes that Build() needs.
  size_t SizeFor(char* const* argv) const;
  // The argument vector, in `memory`, which must be aligned for pointers. `program` and `argv`: what a Proceed goes on
  // to; they are not copied.
  char** Build(const char* program, char* const* argv, void* memory);

 private:
  void AddItem(const AnswerItem& item);

  const Answer& answer_;
  bool usable_ = false;
  size_t items_ = 0;
  size_t size_ = 0;
  // Behind each other, each with its NUL. Numbers are longer in decimal; what does not fit is not usable.
  char text_[2 * kReplyBytes];
};

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_REPLAY_H_
