// What is said of a session or a command in a few words, the same in every view.
#ifndef OCPWATCH_CLI_RENDER_WORDS_H_
#define OCPWATCH_CLI_RENDER_WORDS_H_

#include <cstdint>
#include <string>

#include "cli/render/style.h"
#include "ocpwatch/v1/monitor.pb.h"

namespace ocpwatch {

// "SIGKILL", or "signal 70" where it has no name.
std::string SignalName(int signal);

// How a command ended, for a column: "0", "2", "SIGSEGV", "exec" (it became another program), "running", "?".
std::string StatusWord(const v1::Command& command);
// Red for a failure, yellow while it runs and where the end is not known.
Color StatusColor(const v1::Command& command);
bool Failed(const v1::Command& command);

// How long a command took; while it runs, until `session_ns` (Session.duration_ns).
int64_t Elapsed(const v1::Command& command, int64_t session_ns);

// "running", "finished", "interrupted", ...
std::string StateWord(const v1::Session& session);
// How a session ended: "exit 0", "exit 2", "SIGKILL", "-" while it runs, "?".
std::string EndWord(const v1::Session& session);
Color EndColor(const v1::Session& session);

// "2026-11-22 23:05:31" of Session.started.
std::string StartedWord(const v1::Session& session);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_RENDER_WORDS_H_
