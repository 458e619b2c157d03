#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/client/report_call.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/render/renderer.h"
#include "cli/render/text.h"
#include "cli/report_options.h"

namespace ocpwatch {
namespace {

constexpr std::string_view kReportHelp = R"(Usage: ocp-watch report [VIEW] [SESSION|FILE] [OPTIONS]

Tells what happened in a session: the last one, one that is named by its id or
name, one that is still running, or a log file copied from elsewhere.

Views:
  summary         one page: how it ended, what it read and wrote, what was slow,
                  and whether everything was seen (this is the default)
  tree            every command below the one that started it, with its files
  commands        every command in a table
  files           every path: who read, wrote, removed, listed or missed it
  events          every recorded call

Options:
  --file PATH     everything about one file: its writers, its readers, and what
                  it was made from, step by step
  --under DIR     only paths below DIR (may be repeated)
  --glob PATTERN  only paths that match; * crosses slashes (may be repeated)
  --reads         only paths that were read
  --writes        only paths that were written
  --missing       only paths that were looked for and not there
  --failed        only commands that failed
  --command ID    only this command (may be repeated)
  --limit N       at most N rows
  --format FORMAT text, json (one document), jsonl (a line for each row),
                  compile-commands (compile_commands.json), chrome-trace (opens
                  in Perfetto), dot (graphviz)
  --json          the same as --format json
  -h, --help      this text

With --reads and the like the view is "files" unless another one is named.

Examples:
  ocp-watch report
  ocp-watch report tree
  ocp-watch report files --writes --under build
  ocp-watch report --file build/app
  ocp-watch report commands nightly --failed
  ocp-watch report tree ./copied.ocplog
  ocp-watch report --format compile-commands > compile_commands.json
  ocp-watch report events --format jsonl | jq -r .path
)";

std::unique_ptr<Renderer> NewRenderer(const ReportPlan& plan, const Style& style, Output* out) {
  switch (plan.format) {
    case ReportFormat::kJson:
      return NewJsonDocument(plan.request.view(), out);
    case ReportFormat::kJsonLines:
      return NewJsonLines(out);
    case ReportFormat::kExport:
      return NewVerbatim(out);
    case ReportFormat::kText:
      break;
  }
  switch (plan.request.view()) {
    case v1::VIEW_TREE:
      return NewTreeView(style, out);
    case v1::VIEW_COMMANDS:
      return NewCommandsView(style, out);
    case v1::VIEW_FILES:
      return NewFilesView(style, out);
    case v1::VIEW_EVENTS:
      return NewEventsView(style, out);
    case v1::VIEW_ORIGIN:
      return NewOriginView(style, out);
    default:
      return NewSummaryView(style, out);
  }
}

int Report(const ReportOptions& options) {
  const absl::StatusOr<ReportPlan> plan = PlanReport(options, WorkingDirectory());
  if (!plan.ok()) return Fail(plan.status(), kExitUsage, "ocp-watch report --help");
  absl::StatusOr<Client> client = Client::Connect(Client::Start::kIfNeeded);
  if (!client.ok()) return Fail(client.status(), kExitFailed, "ocp-watch doctor");

  v1::ReportRow row;  // Outlives the call: a row may be on its way into it until that is cancelled.
  ReportCall rows(&*client, plan->request);
  bool stopped = false;
  {
    Output out(STDOUT_FILENO, Output::Paging::kWhenLong);
    const std::unique_ptr<Renderer> renderer = NewRenderer(*plan, StyleOf(STDOUT_FILENO), &out);
    bool any = false;
    while (!stopped && rows.Read(&row)) {
      any = true;
      renderer->Add(&row);
      stopped = out.closed();
    }
    if (any && !stopped) renderer->Finish();
  }
  if (stopped) return 0;
  const absl::Status status = rows.Finish();
  if (!status.ok()) {
    return Fail(status, kExitFailed, absl::IsNotFound(status) ? "ocp-watch sessions" : "ocp-watch report --help");
  }
  return 0;
}

Command::Run DefineReport(CLI::App& parser) {
  const auto options = std::make_shared<ReportOptions>();
  AddReportOptions(parser, options.get());
  return [options](const std::vector<std::string>&) { return Report(*options); };
}

}  // namespace

const Command kReportCommand = {"report", "what happened in a session: commands, files, events", kReportHelp,
                                DefineReport};

}  // namespace ocpwatch
