// Our two variables: taken out of the environment when a program starts, put back whenever it starts another.
//
// The program must never see OCP_WATCH nor our name in LD_PRELOAD: it may print its environment, compare it, or hand it
// on changed. So what exec and spawn are given is a copy of the caller's environment with both added, also where that
// is empty or null. We stand last in LD_PRELOAD: a user's own entries keep their order and come first.
//
// AddressSanitizer's and ThreadSanitizer's shared runtimes insist on being the first library of all. For a program that
// needs one, its name is put at the beginning, with an empty entry behind it, by which we know it again:
// "libasan.so.8::<user's entries>:<ours>".
#ifndef OCPWATCH_PRELOAD_RUNTIME_ENVIRONMENT_H_
#define OCPWATCH_PRELOAD_RUNTIME_ENVIRONMENT_H_

#include <cstddef>
#include <cstdint>

namespace ocpwatch {

// The process that an environment leads to the session; see kWatchVariable in ring.h.
struct Expected {
  uint32_t process = 0;
  int pid = 0;
  int parent_pid = 0;
};

// Reads the value of OCP_WATCH into `session` and `expected`. False if it is not one that we understand.
bool ParseWatchVariable(const char* value, Expected* expected);

// The value of OCP_WATCH in `environment`, or null.
const char* FindWatchVariable(char** environment);

// Takes our variables out of `environment`, in place; session.library says who we are.
void CleanEnvironment(char** environment);

// The environment of a program to come.
class TracedEnvironment {
 public:
  // `preload` false: the program's loader would choke on our library; only OCP_WATCH is passed on, for its children.
  // `first`: a library that must come first, or null.
  TracedEnvironment(const char* const* environment, const Expected& expected, bool preload, const char* first);

  // Bytes that Build() needs.
  size_t size() const { return size_; }

  // Lays the environment out in `memory`, which must be aligned for pointers, and returns it. The caller's strings are
  // not copied.
  char** Build(void* memory) const;

 private:
  const char* const* environment_;  // May be null.
  Expected expected_;
  const char* first_;
  const char* preload_value_ = nullptr;  // The caller's, or null.
  bool add_preload_;
  size_t count_ = 0;
  size_t preload_size_ = 0;
  size_t size_ = 0;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_ENVIRONMENT_H_
