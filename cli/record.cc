#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/child.h"
#include "cli/client/session_call.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/preloading.h"
#include "cli/record_options.h"
#include "cli/render/text.h"
#include "cli/report_options.h"
#include "ocpwatch/v1/version.h"

extern char** environ;

namespace ocpwatch {
namespace {

constexpr std::string_view kHelp = R"(Usage: ocp-watch record [OPTIONS] [--] COMMAND [ARGUMENTS...]

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

struct Options {
  std::string name;
  std::vector<std::string> calls;
};

v1::RunRequest::Start StartRequest(const Options& options, const std::vector<std::string>& words,
                                   const std::vector<std::string>& changes, const std::string& program,
                                   const Preloading& preloading) {
  v1::RunRequest::Start start;
  start.set_mode(v1::MODE_RECORD);
  for (const std::string& word : words) start.add_argv(word);
  start.set_cwd(WorkingDirectory());
  start.set_name(options.name);
  for (const std::string& change : changes) start.add_calls(change);
  start.set_client_version(kVersion);
  start.set_client_pid(getpid());
  start.set_program(program);
  start.set_opaque(preloading.opaque);
  return start;
}

v1::RunRequest::Finish FinishRequest(const ChildEnd& end) {
  v1::RunRequest::Finish finish;
  if (end.kind == ChildEnd::kExited) finish.set_exit_status(end.value);
  if (end.kind == ChildEnd::kSignalled) finish.set_signal(end.value);
  if (end.kind == ChildEnd::kNotStarted) finish.set_not_started(Printable(end.reason));
  return finish;
}

void ShowRecorded(const v1::Session& session) {
  const Style style = StyleOf(STDERR_FILENO);
  std::string text = absl::StrCat("ocp-watch: recorded ", Counted(session.commands(), "command", "commands"), " in ",
                                  Duration(session.duration_ns()));
  if (!session.complete()) text += ", not everything was seen";
  absl::StrAppend(&text, "; see: ocp-watch report ", Printable(session.id()));
  text = style.Paint(text, Color::kDim) + "\n";
  fwrite(text.data(), 1, text.size(), stderr);
}

int Record(const Options& options, const std::vector<std::string>& words) {
  const StartState start;
  const auto fail = [](const absl::Status& status) {
    return Fail(absl::Status(status.code(), absl::StrCat("cannot record: ", status.message())), kExitRecordFailed,
                absl::IsInvalidArgument(status) ? "ocp-watch record --help" : "ocp-watch doctor");
  };
  const absl::StatusOr<std::vector<std::string>> changes = CallChanges(options.calls);
  if (!changes.ok()) return fail(changes.status());
  absl::StatusOr<Client> client = Client::Connect(Client::Start::kIfNeeded);
  if (!client.ok()) return fail(client.status());
  SessionCall call(&*client);
  const char* const path = getenv("PATH");
  int error = 0;
  const std::string program = FindProgram(words[0], path != nullptr ? path : kPathWithout, &error);
  const Preloading preloading = program.empty() ? Preloading() : PreloadingOf(program);
  const absl::StatusOr<v1::RunReply::Started> started =
      call.Start(StartRequest(options, words, *changes, program, preloading));
  if (!started.ok()) return fail(started.status());

  const std::string preload = preloading.possible ? started->preload() : "";
  const ChildEnd end =
      RunChild(start, words, WatchedEnvironment(environ, preload, started->watch_variable(), preloading.first));
  const absl::StatusOr<v1::Session> session = call.Finish(FinishRequest(end));
  if (!end.reason.empty()) Fail(absl::NotFoundError(end.reason));
  if (!session.ok()) {
    Fail(absl::Status(session.status().code(), absl::StrCat("the recording of session ", started->session_id(),
                                                            " is not complete: ", session.status().message())),
         kExitFailed, "ocp-watch report " + started->session_id());
  } else if (isatty(STDERR_FILENO) && end.kind != ChildEnd::kNotStarted) {
    ShowRecorded(*session);
  }
  EndLike(end);
}

Command::Run Define(CLI::App& parser) {
  const auto options = std::make_shared<Options>();
  parser.add_option("--name", options->name);
  parser.add_option("--calls", options->calls)->allow_extra_args(false);
  return [options](const std::vector<std::string>& words) { return Record(*options, words); };
}

}  // namespace

const Command kRecordCommand = {"record", "run a command and record what it and all its children do", kHelp, Define,
                                true};

}  // namespace ocpwatch
