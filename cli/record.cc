#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/child.h"
#include "cli/client/session_call.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/record_options.h"
#include "cli/render/text.h"
#include "cli/session_start.h"

namespace ocpwatch {
namespace {

constexpr std::string_view kRecordHelp = R"(Usage: ocp-watch record [OPTIONS] [--] COMMAND [ARGUMENTS...]

Runs COMMAND as if nobody watched, and records every process that it starts and
every file that each of them reads, writes, looks for or lists. Input, output,
terminal and exit status are the command's own.

Options:
  --name NAME     call the session NAME; later: ocp-watch report NAME
  --calls SPEC    change what is recorded of a function or family of functions:
                  FUNCTION=BEHAVIOUR or family:FAMILY=BEHAVIOUR with the
                  behaviours off, after, before+after, synchronous; several with
                  commas between them, or a file that has them, one a line
  -h, --help      this text

Options after COMMAND belong to COMMAND.

Exit status: the command's; 127 if it was not found, 126 if it could not be
executed, 125 if recording was impossible (the command is not run then).

Examples:
  ocp-watch record make -j8
  ocp-watch record --name nightly -- ./configure --prefix=/usr
  ocp-watch record --calls write=after,family:xattr=off -- make
  ocp-watch record -- sh -c 'cmake -B build && cmake --build build'
)";

struct RecordOptions {
  std::string name;
  std::vector<std::string> calls;
};

void ShowRecorded(const v1::Session& session) {
  const Style style = StyleOf(STDERR_FILENO);
  std::string text = absl::StrCat("ocp-watch: recorded ", Counted(session.commands(), "command", "commands"), " in ",
                                  Duration(session.duration_ns()));
  if (!session.complete()) text += ", not everything was seen";
  absl::StrAppend(&text, "; see: ocp-watch report ", Printable(session.id()));
  text = style.Paint(text, Color::kDim) + "\n";
  fwrite(text.data(), 1, text.size(), stderr);
}

int Record(const RecordOptions& options, const std::vector<std::string>& words) {
  const StartState start;
  const auto fail = [](const absl::Status& status) {
    return Fail(absl::Status(status.code(), absl::StrCat("cannot record: ", status.message())), kExitRecordFailed,
                absl::IsInvalidArgument(status) ? "ocp-watch record --help" : "ocp-watch doctor");
  };
  const absl::StatusOr<std::vector<std::string>> changes = CallChanges(options.calls);
  if (!changes.ok()) return fail(changes.status());
  const UserCommand command = FindUserCommand(words);
  v1::RunRequest::Start request = StartRequest(v1::MODE_RECORD, options.name, command);
  for (const std::string& change : *changes) request.add_calls(change);
  const Beginning beginning = Begin(std::move(request));
  if (!beginning.reply.ok()) return fail(beginning.reply.status());
  const v1::RunReply::Started& started = beginning.reply->started();

  const ChildEnd end = RunChild(start, words, EnvironmentFor(command, started));
  const absl::StatusOr<v1::Session> session = beginning.call->Finish(FinishRequest(end));
  if (!end.reason.empty()) Fail(absl::NotFoundError(end.reason));
  if (!session.ok()) {
    Fail(absl::Status(session.status().code(), absl::StrCat("the recording of session ", started.session_id(),
                                                            " is not complete: ", session.status().message())),
         kExitFailed, "ocp-watch report " + started.session_id());
  } else if (isatty(STDERR_FILENO) && end.kind != ChildEnd::kNotStarted) {
    ShowRecorded(*session);
  }
  EndLike(end);
}

Command::Run DefineRecord(CLI::App& parser) {
  const auto options = std::make_shared<RecordOptions>();
  parser.add_option("--name", options->name);
  parser.add_option("--calls", options->calls)->allow_extra_args(false);
  return [options](const std::vector<std::string>& words) { return Record(*options, words); };
}

}  // namespace

const Command kRecordCommand = {"record", "run a command and record what it and all its children do", kRecordHelp,
                                DefineRecord, true};

}  // namespace ocpwatch
