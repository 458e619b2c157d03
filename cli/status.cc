#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/client/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/render/json.h"
#include "cli/render/text.h"

namespace ocpwatch {
namespace {

constexpr std::string_view kStatusHelp = R"(Usage: ocp-watch status [--json]

Says whether the daemon runs and what it holds. Never starts one.

Options:
  --json        one JSON document; {} where no daemon runs
  -h, --help    this text

Exit status: 0 if the daemon runs, 3 if not.

Examples:
  ocp-watch status
  ocp-watch status --json | jq .running_sessions
)";

constexpr std::string_view kStartHelp = R"(Usage: ocp-watch start

Starts the daemon, if none runs. There is seldom a reason: record and report
start it by themselves.

Options:
  -h, --help    this text

Example:
  ocp-watch start && ocp-watch status
)";

constexpr std::string_view kStopHelp = R"(Usage: ocp-watch stop [--drain]

Stops the daemon, if one runs and no session does.

Options:
  --drain       also while sessions run: no new ones are begun, and the daemon
                ends with the last of them
  -h, --help    this text

Examples:
  ocp-watch stop
  ocp-watch stop --drain
)";

// What a daemon without sessions needs to end is some milliseconds.
constexpr std::chrono::milliseconds kStopBound{5000};

absl::StatusOr<v1::StatusReply> Ask(Client* client) {
  v1::StatusReply reply;
  const auto context = NewContext(kQuickCall);
  const absl::Status status = FromRpc(client->stub().Status(context.get(), v1::StatusRequest(), &reply));
  if (!status.ok()) return status;
  return reply;
}

std::string Uptime(int64_t seconds) {
  return seconds < 60 ? absl::StrCat(seconds, " s") : Duration(seconds * 1'000'000'000);
}

void WriteStatus(const v1::StatusReply& reply, Output* out) {
  const Style style = StyleOf(STDOUT_FILENO);
  const auto line = [&](std::string label, const std::string& text) {
    label.resize(10, ' ');
    out->Write(style.Paint(label, Color::kDim) + text + "\n");
  };
  out->Write(style.Paint(reply.draining() ? "draining" : "running", Color::kGreen) + ", pid " +
             std::to_string(reply.pid()) + ", for " + Uptime(reply.uptime_seconds()) +
             (reply.started_by().empty() ? "" : ", started by " + Printable(reply.started_by())) + "\n");
  line("version", absl::StrCat(Printable(reply.version()), " (", Printable(reply.build_id()), ")"));
  line("sessions", absl::StrCat(Count(reply.running_sessions()), " running, ", Count(reply.stored_sessions()),
                                " kept, ", Size(reply.log_bytes()), " of logs"));
  line("events", Count(reply.events()) + " since it started");
  line("memory", Size(reply.resident_bytes()));
  line("state", Printable(reply.state_directory()));
  line("sockets", Printable(reply.runtime_directory()));
}

int ShowStatus(bool json) {
  absl::StatusOr<Client> client = Client::Connect(Client::Start::kNever);
  Output out(STDOUT_FILENO);
  if (absl::IsUnavailable(client.status())) {
    out.Write(json ? "{}\n" : "no daemon is running; record and report start one by themselves\n");
    return kExitNotRunning;
  }
  if (!client.ok()) return Fail(client.status(), kExitFailed, "ocp-watch doctor");
  const absl::StatusOr<v1::StatusReply> reply = Ask(&*client);
  if (!reply.ok()) return Fail(reply.status(), kExitFailed, "ocp-watch doctor");
  if (json) {
    std::string text;
    AppendJson(*reply, &text);
    out.Write(text + "\n");
  } else {
    WriteStatus(*reply, &out);
  }
  return 0;
}

int StartDaemon() {
  absl::StatusOr<Client> client = Client::Connect(Client::Start::kIfNeeded);
  if (!client.ok()) return Fail(client.status(), kExitFailed, "ocp-watch doctor");
  const absl::StatusOr<v1::StatusReply> reply = Ask(&*client);
  if (!reply.ok()) return Fail(reply.status(), kExitFailed, "ocp-watch doctor");
  Output(STDOUT_FILENO).Write(absl::StrCat("running, pid ", reply->pid(), "\n"));
  return 0;
}

int StopDaemon(bool drain) {
  absl::StatusOr<Client> client = Client::Connect(Client::Start::kNever);
  Output out(STDOUT_FILENO);
  if (absl::IsUnavailable(client.status())) {
    out.Write("no daemon is running\n");
    return 0;
  }
  if (!client.ok()) return Fail(client.status(), kExitFailed, "ocp-watch doctor");
  const absl::StatusOr<v1::StatusReply> daemon = Ask(&*client);
  if (!daemon.ok()) return Fail(daemon.status(), kExitFailed, "ocp-watch doctor");
  v1::ShutdownRequest request;
  request.set_drain(drain);
  v1::ShutdownReply reply;
  const auto context = NewContext(kQuickCall);
  const absl::Status status = FromRpc(client->stub().Shutdown(context.get(), request, &reply));
  if (!status.ok()) return Fail(status, kExitFailed, "ocp-watch status");
  const std::string sessions = Counted(reply.running_sessions(), "session", "sessions");
  if (!reply.stopping()) {
    return Fail(absl::FailedPreconditionError("the daemon was not stopped: " + sessions + " still running"),
                kExitFailed, "ocp-watch stop --drain");
  }
  if (reply.running_sessions() > 0) {
    out.Write("the daemon ends with the last of " + sessions + "\n");
    return 0;
  }
  if (!WaitForEnd(daemon->pid(), kStopBound)) {
    return Fail(
        absl::DeadlineExceededError(absl::StrCat("the daemon (pid ", daemon->pid(), ") was told to stop and has not")),
        kExitFailed, "ocp-watch status");
  }
  out.Write("stopped\n");
  return 0;
}

Command::Run DefineStatus(CLI::App& parser) {
  const auto json = std::make_shared<bool>(false);
  parser.add_flag("--json", *json);
  return [json](const std::vector<std::string>&) { return ShowStatus(*json); };
}

Command::Run DefineStart(CLI::App&) {
  return [](const std::vector<std::string>&) { return StartDaemon(); };
}

Command::Run DefineStop(CLI::App& parser) {
  const auto drain = std::make_shared<bool>(false);
  parser.add_flag("--drain", *drain);
  return [drain](const std::vector<std::string>&) { return StopDaemon(*drain); };
}

}  // namespace

const Command kStatusCommand = {"status", "whether the daemon runs and what it holds", kStatusHelp, DefineStatus};
const Command kStartCommand = {"start", "start the daemon", kStartHelp, DefineStart};
const Command kStopCommand = {"stop", "stop the daemon", kStopHelp, DefineStop};

}  // namespace ocpwatch
