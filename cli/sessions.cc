#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/client/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/render/json.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/render/words.h"

namespace ocpwatch {
namespace {

constexpr std::string_view kSessionsHelp = R"(Usage: ocp-watch sessions [OPTIONS]

Lists the sessions that run and those that are kept, the oldest first.

Options:
  --running     only those that run
  --json        one JSON document
  -h, --help    this text

Examples:
  ocp-watch sessions
  ocp-watch sessions --running
  ocp-watch sessions --json | jq -r '.sessions[].id'
)";

struct SessionsOptions {
  bool running = false;
  bool json = false;
};

void WriteTable(const v1::ListSessionsReply& reply, Output* out) {
  Table table({{"ID", Column::kRight},
               {"NAME", Column::kLeft, true},
               {"STATE"},
               {"END"},
               {"STARTED"},
               {"TIME", Column::kRight},
               {"COMMANDS", Column::kRight},
               {"LOG", Column::kRight},
               {"COMMAND", Column::kShrinks}},
              StyleOf(STDOUT_FILENO), out);
  for (const v1::Session& session : reply.sessions()) {
    const bool running = session.state() == v1::SESSION_RUNNING;
    table.Add({{Printable(session.id())},
               {Printable(session.name())},
               {StateWord(session), running ? Color::kGreen : Color::kNone},
               {EndWord(session), running ? Color::kNone : EndColor(session)},
               {StartedWord(session)},
               {Duration(session.duration_ns())},
               {Count(session.commands())},
               {Size(session.log_bytes())},
               {CommandLine(session.argv())}});
  }
  table.Finish();
}

int Sessions(const SessionsOptions& options) {
  absl::StatusOr<Client> client = Client::Connect(Client::Start::kIfNeeded);
  if (!client.ok()) return Fail(client.status(), kExitFailed, "ocp-watch doctor");
  v1::ListSessionsRequest request;
  request.set_running_only(options.running);
  v1::ListSessionsReply reply;
  const auto context = NewContext(kQuickCall);
  const absl::Status status = FromRpc(client->stub().ListSessions(context.get(), request, &reply));
  if (!status.ok()) return Fail(status, kExitFailed, "ocp-watch status");
  Output out(STDOUT_FILENO, Output::Paging::kWhenLong);
  if (options.json) {
    std::string text;
    AppendJson(reply, &text);
    out.Write(text + "\n");
  } else if (!reply.sessions().empty()) {
    WriteTable(reply, &out);
  } else if (isatty(STDOUT_FILENO)) {
    out.Write(options.running ? "No session is running.\n"
                              : "There are no sessions yet. Record one: ocp-watch record -- make\n");
  }
  return 0;
}

Command::Run DefineSessions(CLI::App& parser) {
  const auto options = std::make_shared<SessionsOptions>();
  parser.add_flag("--running", options->running);
  parser.add_flag("--json", options->json);
  return [options](const std::vector<std::string>&) { return Sessions(*options); };
}

}  // namespace

const Command kSessionsCommand = {"sessions", "list the sessions that run and those that are kept", kSessionsHelp,
                                  DefineSessions};

}  // namespace ocpwatch
