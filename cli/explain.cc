// Why each command of a build ran, or did not.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/client/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/render/build.h"
#include "cli/render/json.h"

namespace ocpwatch {
namespace {

constexpr std::string_view kExplainHelp = R"(Usage: ocp-watch explain [SESSION] [OPTIONS]

Says of each command of a build whether it was reused, or why it ran: which
file was edited, appeared or disappeared, which directory lists other names,
which variable differs. Of one that cannot be reused next time, why not. At the
end, what was used that does not count (/dev/urandom, /proc/cpuinfo), though it
may differ each time. Without SESSION: the last build.

Options:
  --command ID   only this command; may be repeated
  --ran          only what ran
  --json         one JSON document
  -h, --help     this text

Examples:
  ocp-watch explain
  ocp-watch explain --ran
  ocp-watch explain nightly --command 12
)";

struct ExplainOptions {
  std::string session;
  std::vector<uint32_t> commands;
  bool ran = false;
  bool json = false;
};

int Explain(const ExplainOptions& options) {
  absl::StatusOr<Client> client = Client::Connect(Client::Start::kIfNeeded);
  if (!client.ok()) return Fail(client.status(), kExitFailed, "ocp-watch doctor");
  v1::ExplainRequest request;
  request.set_session(options.session);
  for (const uint32_t command : options.commands) request.add_commands(command);
  const auto context = NewContext(kReportCall);
  const auto rows = client->stub().Explain(context.get(), request);
  absl::Status status;
  bool closed = false;
  {
    Output out(STDOUT_FILENO, Output::Paging::kWhenLong);
    const Style style = StyleOf(STDOUT_FILENO);
    v1::ExplainRow row;
    std::string text;
    bool any = false;
    std::set<std::string> ignored;
    const auto add = [&] {
      if (options.ran && row.outcome() == "reused") return;
      text.clear();
      if (options.json) {
        absl::StrAppend(&text, any ? ",\n" : "{\"commands\":[\n");
        AppendJson(row, &text);
      } else {
        AppendExplanation(row, style, &text);
        ignored.insert(row.ignored().begin(), row.ignored().end());
      }
      any = true;
      out.Write(text);
    };
    while (!closed && rows->Read(&row)) {
      add();
      closed = out.closed();
    }
    if (closed) context->TryCancel();
    status = FromRpc(rows->Finish());
    if (!ignored.empty() && status.ok()) {
      text.clear();
      AppendIgnored(ignored, style, &text);
      out.Write(text);
    }
    if (options.json && status.ok()) out.Write(any ? "\n]}\n" : "{\"commands\":[]}\n");
  }
  if (closed || status.ok()) return 0;
  return Fail(status, kExitFailed, "ocp-watch sessions");
}

Command::Run DefineExplain(CLI::App& parser) {
  const auto options = std::make_shared<ExplainOptions>();
  parser.add_option("session", options->session);
  parser.add_option("--command", options->commands)->allow_extra_args(false);
  parser.add_flag("--ran", options->ran);
  parser.add_flag("--json", options->json);
  return [options](const std::vector<std::string>&) { return Explain(*options); };
}

}  // namespace

const Command kExplainCommand = {"explain", "why each command of a build ran, or did not", kExplainHelp, DefineExplain};

}  // namespace ocpwatch
