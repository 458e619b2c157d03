#include "cli/render/words.h"

#include <string.h>

namespace ocpwatch {

std::string SignalName(int signal) {
  const char* name = sigabbrev_np(signal);
  return name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(signal);
}

std::string StatusWord(const v1::Command& command) {
  if (command.running()) return "running";
  switch (command.end_case()) {
    case v1::Command::kExitStatus:
      return std::to_string(command.exit_status());
    case v1::Command::kSignal:
      return SignalName(command.signal());
    case v1::Command::kReplaced:
      return "exec";
    case v1::Command::kUnknown:
    case v1::Command::END_NOT_SET:
      break;
  }
  return "?";
}

bool Failed(const v1::Command& command) {
  return command.has_signal() || (command.has_exit_status() && command.exit_status() != 0);
}

Color StatusColor(const v1::Command& command) {
  if (Failed(command)) return Color::kRed;
  if (command.running() || command.has_unknown() || command.end_case() == v1::Command::END_NOT_SET)
    return Color::kYellow;
  return Color::kNone;
}

int64_t Elapsed(const v1::Command& command, int64_t session_ns) {
  return (command.end_ns() > 0 ? command.end_ns() : session_ns) - command.start_ns();
}

std::string StateWord(const v1::Session& session) {
  switch (session.state()) {
    case v1::SESSION_RUNNING:
      return "running";
    case v1::SESSION_LINGERING:
      return "lingering";
    case v1::SESSION_FINISHED:
      return "finished";
    case v1::SESSION_INTERRUPTED:
      return "interrupted";
    default:
      return "?";
  }
}

std::string EndWord(const v1::Session& session) {
  if (session.has_exit_status()) return "exit " + std::to_string(session.exit_status());
  if (session.has_signal()) return SignalName(session.signal());
  return session.state() == v1::SESSION_RUNNING ? "-" : "?";
}

Color EndColor(const v1::Session& session) {
  if (session.has_exit_status() && session.exit_status() == 0) return Color::kGreen;
  if (session.has_exit_status() || session.has_signal()) return Color::kRed;
  return Color::kYellow;
}

std::string StartedWord(const v1::Session& session) {
  std::string started = session.started().substr(0, sizeof "2026-11-22T23:05:31" - 1);
  const size_t separator = started.find('T');
  if (separator != std::string::npos) started[separator] = ' ';
  return started;
}

}  // namespace ocpwatch
