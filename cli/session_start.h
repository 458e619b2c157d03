// What `record` and `build` have in common: what the daemon is told of a command, and how it is run.
#ifndef OCPWATCH_CLI_SESSION_START_H_
#define OCPWATCH_CLI_SESSION_START_H_

#include <string>
#include <vector>

#include "cli/child.h"
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

// Our environment, as the daemon wants the command to have it.
std::vector<std::string> EnvironmentFor(const UserCommand& command, const v1::RunReply::Started& started);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_SESSION_START_H_
