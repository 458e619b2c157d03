// What the daemon wants of a program that is about to execute another: go on, perhaps with other descriptors
// (Proceed), or end as that program would have ended (Kill). See Reply in intercept.proto.
//
// All of it happens between fork and exec, perhaps in a vfork child: an Answer lies on the stack with all that belongs
// to it.
#ifndef OCPWATCH_PRELOAD_RUNTIME_ANSWER_H_
#define OCPWATCH_PRELOAD_RUNTIME_ANSWER_H_

#include <cstddef>
#include <cstdint>

#include "ocpwatch/v1/ring.h"
#include "preload/runtime/substitution.h"

namespace ocpwatch {

// A descriptor's words (Kill) or what takes its place (Proceed), as the answer names it.
struct AnswerItem {
  int fds[kMostSubstitutes];
  size_t fd_count;
  char path[kReplyBytes];
};

class Answer {
 public:
  // Proceed, without substitutes.
  Answer() = default;
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  // Takes a Reply out of its slot, where others may write. Anything that is not understood means: go on.
  void Read(const unsigned char* reply, uint32_t size);

  bool is_kill() const { return is_kill_; }
  int exit_status() const { return exit_status_; }
  bool has_items() const { return has_items_; }

  // Reads the item at `*at`, which starts as 0, and moves it on. False behind the last one.
  bool NextItem(size_t* at, AnswerItem* item) const;

 private:
  uint32_t ItemField() const;

  bool is_kill_ = false;
  bool has_items_ = false;
  int exit_status_ = 0;
  size_t begin_ = 0;  // Of the Proceed or Kill in the reply.
  size_t end_ = 0;
  unsigned char reply_[kReplyBytes];
};

// A Proceed: puts its substitutes in place.
void ApplySubstitutes(const Answer& answer, Substitution* substitution);

// A Kill: writes the words and ends the process. Returns, with nothing done, if the words cannot be had: the daemon
// has put the effects in place, so to run the program does no harm.
void EndAsAnswered(const Answer& answer);

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_ANSWER_H_
