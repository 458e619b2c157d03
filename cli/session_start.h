// What `record` and `build` have in common: what the daemon is told of a command, and how it is run.
#ifndef OCPWATCH_CLI_SESSION_START_H_
#define OCPWATCH_CLI_SESSION_START_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/child.h"
#include "cli/client/client.h"
#include "cli/client/session_call.h"
#include "cli/preloading.h"
#include "ocpwatch/v1/monitor.pb.h"

namespace ocpwatch {

// A command as it was typed, and the program that it means.
struct UserCommand {
  std::vector<std::string> words;
  std::string program;  // Empty where PATH has none.
  Preloading preloading;
};
UserCommand FindUserCommand(std::vector<std::string> words);

v1::RunRequest::Start StartRequest(v1::Mode mode, const std::string& name, const UserCommand& command);
v1::RunRequest::Finish FinishRequest(const ChildEnd& end);

// A session up to the first answer.
struct Beginning {
  std::unique_ptr<Client> client;  // Outlives the call.
  std::unique_ptr<SessionCall> call;
  absl::StatusOr<v1::RunReply> reply;
};
// Asks the daemon that runs, and another one if that goes away or is too old: no reason not to do what was asked for.
Beginning Begin(v1::RunRequest::Start request, const SessionCall::WordsFn& words = nullptr,
                const SessionCall::OutputsFn& outputs = nullptr);

// Our environment, as the daemon wants the command to have it.
std::vector<std::string> EnvironmentFor(const UserCommand& command, const v1::RunReply::Started& started);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_SESSION_START_H_
