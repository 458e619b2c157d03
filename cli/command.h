// The commands of ocp-watch: a name, a text that teaches it, its options, and what it does.
//
// Each command has a file of its own. `define` adds its options to a parser and returns what runs when they have been
// parsed; the same definition is what the tests compare with the help, the manual page and the completions.
#ifndef OCPWATCH_CLI_COMMAND_H_
#define OCPWATCH_CLI_COMMAND_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace CLI {
class App;
}  // namespace CLI

namespace ocpwatch {

// Exit statuses of ours; those of a recorded command are its own.
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNotRunning = 3;      // status: no daemon.
inline constexpr int kExitRecordFailed = 125;  // record, build: not the command's failure, ours.

struct Command {
  std::string_view name;
  std::string_view summary;  // One line for the overview.
  std::string_view help;     // Usage, what it does, options, examples.
  // `words`: the user's command, for a command that takes one.
  using Run = std::function<int(std::vector<std::string> words)>;
  Run (*define)(CLI::App& parser);
  bool takes_command = false;
};

// In the order of the overview.
const std::vector<Command>& Commands();

extern const Command kRecordCommand;
extern const Command kBuildCommand;
extern const Command kExplainCommand;
extern const Command kWhyCommand;
extern const Command kAffectedCommand;
extern const Command kReportCommand;
extern const Command kSessionsCommand;
extern const Command kFollowCommand;
extern const Command kRmCommand;
extern const Command kStatsCommand;
extern const Command kGcCommand;
extern const Command kVerifyCommand;
extern const Command kClearCommand;
extern const Command kStatusCommand;
extern const Command kStartCommand;
extern const Command kStopCommand;
extern const Command kDoctorCommand;
extern const Command kVersionCommand;

// The whole of main: finds the command, parses, runs. Returns the exit status.
int RunMain(const std::vector<std::string>& arguments);

// What a command's options say, before the command runs: the options of ours and the user's command are told apart
// here, since everything from the first word on that is no option of ours belongs to the command. OK, or what is wrong.
struct Invocation {
  const Command* command = nullptr;
  Command::Run run;
  std::vector<std::string> words;
  bool help = false;
};
absl::Status ParseInvocation(const Command& command, std::vector<std::string> arguments, Invocation* invocation);

// Writes "ocp-watch: ..." to stderr: the cause, then what to do next where that is known. Returns `exit_status`.
int Fail(const absl::Status& status, int exit_status = kExitFailed, std::string_view next = "");

// The known word that `word` was most likely meant to be; empty if none is near.
std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& known);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_COMMAND_H_
