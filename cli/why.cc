// Who makes a file, and what would run if one changed.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/client/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/render/build.h"
#include "cli/render/json.h"
#include "cli/report_options.h"

namespace ocpwatch {
namespace {

constexpr std::string_view kWhyHelp = R"(Usage: ocp-watch why FILE [OPTIONS]

Which command of a build made the file, from what, and when it last ran or was
reused. The newest build comes first; of its commands who made the file, then
who had it made.

Options:
  --json       one JSON document
  -h, --help   this text

Examples:
  ocp-watch why build/main.o
)";

constexpr std::string_view kAffectedHelp = R"(Usage: ocp-watch affected FILE... [OPTIONS]

Which commands of the builds so far would run if one of the files changed:
those that read it, and those that read what these make.

Options:
  --json       one JSON document
  -h, --help   this text

Examples:
  ocp-watch affected include/config.h
)";

struct WhyOptions {
  std::vector<std::string> files;
  bool json = false;
};

int Why(const WhyOptions& options) {
  absl::StatusOr<Client> client = Client::Connect(Client::Start::kIfNeeded);
  if (!client.ok()) return Fail(client.status(), kExitFailed, "ocp-watch doctor");
  v1::WhyRequest request;
  request.set_path(AbsolutePath(options.files.front(), WorkingDirectory()));
  v1::WhyReply reply;
  const auto context = NewContext(kReportCall);
  const absl::Status status = FromRpc(client->stub().Why(context.get(), request, &reply));
  if (!status.ok()) return Fail(status, kExitFailed, "ocp-watch report --file FILE");
  Output out(STDOUT_FILENO, Output::Paging::kWhenLong);
  std::string text;
  if (options.json) {
    AppendJson(reply, &text);
    text += "\n";
  } else {
    AppendMakers(reply, WorkingDirectory(), StyleOf(STDOUT_FILENO), &text);
  }
  out.Write(text);
  return 0;
}

int Affected(const WhyOptions& options) {
  absl::StatusOr<Client> client = Client::Connect(Client::Start::kIfNeeded);
  if (!client.ok()) return Fail(client.status(), kExitFailed, "ocp-watch doctor");
  v1::AffectedRequest request;
  for (const std::string& file : options.files) request.add_paths(AbsolutePath(file, WorkingDirectory()));
  const auto context = NewContext(kReportCall);
  const auto rows = client->stub().Affected(context.get(), request);
  absl::Status status;
  bool any = false;
  bool closed = false;
  {
    Output out(STDOUT_FILENO, Output::Paging::kWhenLong);
    const Style style = StyleOf(STDOUT_FILENO);
    const std::string directory = WorkingDirectory();
    v1::AffectedRow row;
    std::string text;
    while (!closed && rows->Read(&row)) {
      text.clear();
      if (options.json) {
        absl::StrAppend(&text, any ? ",\n" : "{\"commands\":[\n");
        AppendJson(row, &text);
      } else {
        AppendAffected(row, directory, style, &text);
      }
      any = true;
      out.Write(text);
      closed = out.closed();
    }
    if (closed) context->TryCancel();
    status = FromRpc(rows->Finish());
    if (options.json && status.ok()) out.Write(any ? "\n]}\n" : "{\"commands\":[]}\n");
    if (!options.json && !any && status.ok()) out.Write("No command that is known reads this.\n");
  }
  if (closed || status.ok()) return 0;
  return Fail(status, kExitFailed, "ocp-watch doctor");
}

Command::Run DefineWhy(CLI::App& parser) {
  const auto options = std::make_shared<WhyOptions>();
  parser.add_option("file", options->files)->required()->expected(1);
  parser.add_flag("--json", options->json);
  return [options](const std::vector<std::string>&) { return Why(*options); };
}

Command::Run DefineAffected(CLI::App& parser) {
  const auto options = std::make_shared<WhyOptions>();
  parser.add_option("files", options->files)->required();
  parser.add_flag("--json", options->json);
  return [options](const std::vector<std::string>&) { return Affected(*options); };
}

}  // namespace

const Command kWhyCommand = {"why", "which command made a file, and from what", kWhyHelp, DefineWhy};
const Command kAffectedCommand = {"affected", "what would run if a file changed", kAffectedHelp, DefineAffected};

}  // namespace ocpwatch
