#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/client/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/render/follow.h"
#include "cli/render/json.h"

namespace ocpwatch {
namespace {

constexpr std::string_view kFollowHelp = R"(Usage: ocp-watch follow [SESSION] [OPTIONS]

Shows what happens in a running session while it happens, until the session
ends or you press Ctrl-C. SESSION is an id or a name; without it, the session
that was started last.

Options:
  --events        every recorded call, not only the commands
  --from-start    first the commands so far
  --json          a JSON line for each message
  -h, --help      this text

Examples:
  ocp-watch follow
  ocp-watch follow nightly --from-start
  ocp-watch follow --events | grep config.h
)";

struct FollowOptions {
  std::string session;
  bool events = false;
  bool from_start = false;
  bool json = false;
};

int Follow(const FollowOptions& options) {
  absl::StatusOr<Client> client = Client::Connect(Client::Start::kNever);
  if (!client.ok()) return Fail(client.status(), kExitFailed, "ocp-watch record -- COMMAND, then follow it from here");
  v1::FollowRequest request;
  request.set_session(options.session);
  request.set_events(options.events);
  request.set_from_start(options.from_start);
  const auto context = NewContext(kReportCall);
  const auto stream = client->stub().Follow(context.get(), request);

  Output out(STDOUT_FILENO);
  FollowView view(StyleOf(STDOUT_FILENO));
  v1::FollowReply reply;
  std::string text;
  while (!out.closed() && stream->Read(&reply)) {
    text.clear();
    if (options.json) {
      AppendJson(reply, &text);
      text += '\n';
    } else {
      view.AppendLine(reply, &text);
    }
    out.Write(text);
    out.Flush();
  }
  if (out.closed()) {
    context->TryCancel();
    return 0;
  }
  const absl::Status status = FromRpc(stream->Finish());
  if (!status.ok())
    return Fail(status, kExitFailed, absl::IsNotFound(status) ? "ocp-watch sessions" : "ocp-watch status");
  return 0;
}

Command::Run DefineFollow(CLI::App& parser) {
  const auto options = std::make_shared<FollowOptions>();
  parser.add_option("session", options->session);
  parser.add_flag("--events", options->events);
  parser.add_flag("--from-start", options->from_start);
  parser.add_flag("--json", options->json);
  return [options](const std::vector<std::string>&) { return Follow(*options); };
}

}  // namespace

const Command kFollowCommand = {"follow", "watch a running session from another terminal", kFollowHelp, DefineFollow};

}  // namespace ocpwatch
