#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/client/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/render/json.h"
#include "cli/render/text.h"
#include "cli/units.h"

namespace ocpwatch {
namespace {

constexpr std::string_view kRmHelp = R"(Usage: ocp-watch rm SESSION...
       ocp-watch rm --finished [--older-than AGE]

Removes sessions and their logs. A session that runs is never removed.

Options:
  --finished          all sessions that have ended
  --older-than AGE    with --finished: only those that ended longer ago than
                      AGE: 90s, 15m, 12h, 7d, 2w
  --json              one JSON document
  -h, --help          this text

Examples:
  ocp-watch rm 12 nightly
  ocp-watch rm --finished --older-than 7d
)";

struct RmOptions {
  std::vector<std::string> sessions;
  bool finished = false;
  std::string older_than;
  bool json = false;
};

absl::StatusOr<v1::RemoveSessionsRequest> Request(const RmOptions& options) {
  v1::RemoveSessionsRequest request;
  if (options.finished && !options.sessions.empty()) {
    return absl::InvalidArgumentError("either name the sessions to remove or say --finished");
  }
  if (!options.finished && options.sessions.empty())
    return absl::InvalidArgumentError("which session is to be removed?");
  if (!options.finished && !options.older_than.empty()) {
    return absl::InvalidArgumentError("--older-than goes with --finished");
  }
  for (const std::string& session : options.sessions) request.add_sessions(session);
  request.set_all_finished(options.finished);
  if (!options.older_than.empty()) {
    const absl::StatusOr<uint64_t> age = ParseAge(options.older_than);
    if (!age.ok()) return age.status();
    request.set_older_than_seconds(*age);
  }
  return request;
}

int Remove(const RmOptions& options) {
  const absl::StatusOr<v1::RemoveSessionsRequest> request = Request(options);
  if (!request.ok()) return Fail(request.status(), kExitUsage, "ocp-watch rm --help");
  absl::StatusOr<Client> client = Client::Connect(Client::Start::kIfNeeded);
  if (!client.ok()) return Fail(client.status(), kExitFailed, "ocp-watch doctor");
  v1::RemoveSessionsReply reply;
  const auto context = NewContext(kQuickCall);
  const absl::Status status = FromRpc(client->stub().RemoveSessions(context.get(), *request, &reply));
  if (!status.ok()) return Fail(status, kExitFailed, "ocp-watch sessions");
  Output out(STDOUT_FILENO);
  std::string text;
  if (options.json) {
    AppendJson(reply, &text);
  } else {
    text = absl::StrCat("removed ", Counted(static_cast<uint64_t>(reply.removed_size()), "session", "sessions"), ", ",
                        Size(reply.freed_bytes()), " freed");
  }
  out.Write(text + "\n");
  return 0;
}

Command::Run DefineRm(CLI::App& parser) {
  const auto options = std::make_shared<RmOptions>();
  parser.add_option("sessions", options->sessions);
  parser.add_flag("--finished", options->finished);
  parser.add_option("--older-than", options->older_than);
  parser.add_flag("--json", options->json);
  return [options](const std::vector<std::string>&) { return Remove(*options); };
}

}  // namespace

const Command kRmCommand = {"rm", "remove sessions and their logs", kRmHelp, DefineRm};

}  // namespace ocpwatch
