// Runs the user's command as their shell would have run it.
//
// The command is our child in our own process group: Ctrl-C, Ctrl-Z and a hang-up reach it from the terminal, and we
// stay out of the way: we outlive what it survives, stop when it stops, and go on when it goes on. A signal that
// somebody sends to us alone (kill, a CI agent's SIGTERM) is passed on. Signal mask, dispositions, descriptors and
// limits are those that we were started with.
//
// posix_spawn, because gRPC's threads are running: they do not survive a fork.
#ifndef OCPWATCH_CLI_CHILD_H_
#define OCPWATCH_CLI_CHILD_H_

#include <signal.h>

#include <array>
#include <string>
#include <vector>

namespace ocpwatch {

// How the process stood when it was started, before anything of ours or gRPC's changed it.
class StartState {
 public:
  // To be made first of all in main.
  StartState();
  const sigset_t& mask() const { return mask_; }
  bool ignored(int signal) const { return ignored_[static_cast<size_t>(signal)]; }

 private:
  sigset_t mask_ = {};
  std::array<bool, 65> ignored_ = {};
};

// How the command went.
struct ChildEnd {
  enum Kind { kExited, kSignalled, kNotStarted };
  Kind kind = kNotStarted;
  int value = 0;       // Exit status; signal; for kNotStarted the status a shell would give: 126 or 127.
  std::string reason;  // For kNotStarted.
};

// What the command finds at the descriptors `to` instead of ours.
struct Redirect {
  int from = -1;
  std::vector<int> to;
};

// Runs `argv` with `environment` ("NAME=value") and waits for its end. Each `from` is closed when the command has been
// started: then it is the command's alone.
ChildEnd RunChild(const StartState& start, const std::vector<std::string>& argv,
                  const std::vector<std::string>& environment, const std::vector<Redirect>& redirects = {});

// Ends this process as the command ended: with its status, or by its signal (without a core of our own).
[[noreturn]] void EndLike(const ChildEnd& end);

// As execvp, where there is no PATH.
inline constexpr char kPathWithout[] = "/bin:/usr/bin";

// Where `name` is in `path` (PATH's value), as execvp looks for it. Empty with *error ENOENT, or EACCES where there is
// one that may not be executed.
std::string FindProgram(const std::string& name, const std::string& path, int* error);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_CHILD_H_
