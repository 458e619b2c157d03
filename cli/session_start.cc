#include "cli/session_start.h"

#include <stdlib.h>
#include <unistd.h>

#include <utility>

#include "cli/record_options.h"
#include "cli/render/text.h"
#include "cli/report_options.h"
#include "ocpwatch/v1/version.h"

extern char** environ;

namespace ocpwatch {
namespace {

// One that ends, one that is older, and one more.
constexpr int kAttempts = 3;

}  // namespace

UserCommand FindUserCommand(std::vector<std::string> words) {
  UserCommand command;
  command.words = std::move(words);
  const char* const path = getenv("PATH");
  int error = 0;
  command.program = FindProgram(command.words[0], path != nullptr ? path : kPathWithout, &error);
  if (!command.program.empty()) command.preloading = PreloadingOf(command.program);
  return command;
}

v1::RunRequest::Start StartRequest(v1::Mode mode, const std::string& name, const UserCommand& command) {
  v1::RunRequest::Start start;
  start.set_mode(mode);
  for (const std::string& word : command.words) start.add_argv(word);
  start.set_cwd(WorkingDirectory());
  start.set_name(name);
  start.set_client_version(kVersion);
  start.set_client_pid(getpid());
  start.set_program(command.program);
  start.set_opaque(command.preloading.opaque);
  return start;
}

Beginning Begin(v1::RunRequest::Start request, const SessionCall::WordsFn& words,
                const SessionCall::OutputsFn& outputs) {
  bool said = false;  // Some words of what was reused are out: nobody wants to hear them twice.
  const auto say = [&](int fd, const std::string& text) {
    said = true;
    words(fd, text);
  };
  request.set_client_build_id(kBuildId);
  Client::Start start = Client::Start::kForSession;
  Beginning beginning;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    beginning.call.reset();
    absl::StatusOr<Client> client = Client::Connect(start);
    if (!client.ok()) {
      beginning.reply = client.status();
      break;
    }
    beginning.client = std::make_unique<Client>(*std::move(client));
    beginning.call = std::make_unique<SessionCall>(beginning.client.get());
    beginning.reply = beginning.call->Start(request, say, outputs);
    if (!absl::IsUnavailable(beginning.reply.status()) || said) break;
    start = Client::Start::kIfNeeded;  // Replaces it, or leaves it to its sessions.
    request.clear_client_build_id();
  }
  return beginning;
}

v1::RunRequest::Finish FinishRequest(const ChildEnd& end) {
  v1::RunRequest::Finish finish;
  if (end.kind == ChildEnd::kExited) finish.set_exit_status(end.value);
  if (end.kind == ChildEnd::kSignalled) finish.set_signal(end.value);
  if (end.kind == ChildEnd::kNotStarted) finish.set_not_started(Printable(end.reason));
  return finish;
}

std::vector<std::string> EnvironmentFor(const UserCommand& command, const v1::RunReply::Started& started) {
  const std::string preload = command.preloading.possible ? started.preload() : "";
  return WatchedEnvironment(environ, preload, started.watch_variable(), command.preloading.first);
}

}  // namespace ocpwatch
