#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/child.h"
#include "cli/client/session_call.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/output_pool.h"
#include "cli/render/build.h"
#include "cli/render/text.h"
#include "cli/session_start.h"

extern char** environ;

namespace ocpwatch {
namespace {

constexpr std::string_view kBuildHelp = R"(Usage: ocp-watch build [OPTIONS] [--] COMMAND [ARGUMENTS...]

Runs COMMAND and learns what each command in it reads and writes. From then on
only the commands whose inputs have changed run; what all others would do to
the file system is done, and what they would say is said, without running them.
When nothing has changed, nothing runs.

Options:
  --name NAME     call the session NAME; later: ocp-watch report NAME
  --dry-run       run nothing and change nothing: say what would run, and why;
                  "may run" is what reads the products of such a command
  --explain       at the end, say of each command whether it was reused, or why
                  it ran
  -h, --help      this text

Options after COMMAND belong to COMMAND.

A command is not reused if it uses the network, reads from a terminal, dies by
a signal or leaves a process behind, and if it could not be observed in full.

Exit status: the command's; 127 if it was not found, 126 if it could not be
executed, 125 if building was impossible (the command is not run then).

Examples:
  ocp-watch build make -j8 all
  ocp-watch build --dry-run -- make all
  ocp-watch build --explain -- sh -c './configure && make'
)";

struct BuildOptions {
  std::string name;
  bool dry_run = false;
  bool explain = false;
};

// What a reused command says. If nobody reads it, we end as the command would have.
void Say(int fd, const std::string& words) {
  size_t done = 0;
  while (done < words.size()) {
    const ssize_t wrote = write(fd, words.data() + done, words.size() - done);
    if (wrote > 0) {
      done += static_cast<size_t>(wrote);
    } else if (errno == EAGAIN) {
      pollfd state = {fd, POLLOUT, 0};
      poll(&state, 1, -1);
    } else if (errno == EPIPE) {
      EndLike({ChildEnd::kSignalled, SIGPIPE, ""});
    } else if (errno != EINTR) {
      return;
    }
  }
}

// The descriptors that the daemon wants the command to have in place of ours. One that cannot be opened stays.
std::vector<Redirect> OpenSubstitutes(const v1::RunReply::Started& started) {
  std::vector<Redirect> redirects;
  for (const v1::Substitute& substitute : started.substitutes()) {
    Redirect redirect;
    redirect.from = open(substitute.path().c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC);
    redirect.to.assign(substitute.fds().begin(), substitute.fds().end());
    if (redirect.from >= 0) redirects.push_back(std::move(redirect));
  }
  return redirects;
}

// True while one of our outputs takes nothing.
bool OutputsBlocked() {
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    pollfd state = {fd, POLLOUT, 0};
    if (poll(&state, 1, 0) == 0) return true;
  }
  return false;
}

v1::RunRequest::Start BuildRequest(const BuildOptions& options, const UserCommand& command) {
  v1::RunRequest::Start request = StartRequest(v1::MODE_BUILD, options.name, command);
  for (char* const* variable = environ; *variable != nullptr; ++variable) request.add_environment(*variable);
  const mode_t mask = umask(0);
  umask(mask);
  request.set_umask(mask);
  return request;
}

void Explain(Client* client, const std::string& session) {
  v1::ExplainRequest request;
  request.set_session(session);
  const auto context = NewContext(kReportCall);
  const auto rows = client->stub().Explain(context.get(), request);
  const Style style = StyleOf(STDERR_FILENO);
  v1::ExplainRow row;
  std::string text;
  while (rows->Read(&row)) AppendExplanation(row, style, &text);
  Say(STDERR_FILENO, text);
  const absl::Status status = FromRpc(rows->Finish());
  if (!status.ok()) Fail(absl::Status(status.code(), absl::StrCat("cannot explain: ", status.message())));
}

// Our words at the end, if there are to be any.
void Conclude(const BuildOptions& options, Client* client, const std::string& session, const v1::BuildTotals& totals,
              std::chrono::steady_clock::time_point begun) {
  const std::chrono::nanoseconds duration = std::chrono::steady_clock::now() - begun;
  if (options.explain) Explain(client, session);
  const Style style = StyleOf(STDERR_FILENO);
  std::string text;
  for (const std::string& hazard : totals.hazards()) {
    text += style.Paint("ocp-watch:", Color::kYellow) + " " + Printable(hazard) + "\n";
  }
  if (options.explain || isatty(STDERR_FILENO) != 0) {
    text += style.Paint("ocp-watch: " + BuildWords(totals, duration.count()), Color::kDim) + "\n";
  }
  Say(STDERR_FILENO, text);
}

int ShowPlan(const BuildOptions& options, const UserCommand& command) {
  absl::StatusOr<Client> client = Client::Connect(Client::Start::kIfNeeded);
  if (!client.ok()) return Fail(client.status(), kExitRecordFailed, "ocp-watch doctor");
  v1::PlanRequest request;
  *request.mutable_start() = BuildRequest(options, command);
  const auto context = NewContext(kReportCall);
  const auto rows = client->stub().Plan(context.get(), request);
  Output out(STDOUT_FILENO, Output::Paging::kNever);
  const Style style = StyleOf(STDOUT_FILENO);
  v1::PlanRow row;
  std::string text;
  while (rows->Read(&row)) {
    text.clear();
    AppendPlanned(row, style, &text);
    out.Write(text);
  }
  const absl::Status status = FromRpc(rows->Finish());
  if (status.ok()) return 0;
  return Fail(absl::Status(status.code(), absl::StrCat("cannot tell what would run: ", status.message())),
              kExitRecordFailed, "ocp-watch doctor");
}

int Build(const BuildOptions& options, const std::vector<std::string>& words) {
  const StartState start;
  const auto begun = std::chrono::steady_clock::now();
  const auto fail = [](const absl::Status& status) {
    return Fail(absl::Status(status.code(), absl::StrCat("cannot build: ", status.message())), kExitRecordFailed,
                absl::IsInvalidArgument(status) ? "ocp-watch build --help" : "ocp-watch doctor");
  };
  const int terminal = isatty(STDOUT_FILENO) != 0 ? STDOUT_FILENO : isatty(STDERR_FILENO) != 0 ? STDERR_FILENO : -1;
  const UserCommand command = FindUserCommand(words);
  if (options.dry_run) return ShowPlan(options, command);
  OutputPool pool;
  const auto outputs = [&](pid_t daemon) {
    OutputPool::AllowCopiesBy(daemon);
    return pool.Offer(terminal >= 0);
  };
  Beginning beginning = Begin(BuildRequest(options, command), Say, outputs);
  const absl::StatusOr<v1::RunReply>& reply = beginning.reply;
  if (!reply.ok()) return fail(reply.status());
  Client* const client = beginning.client.get();
  SessionCall& call = *beginning.call;
  if (reply->has_reused()) {
    // Whoever shares it goes on where the command would have left it.
    if (reply->reused().has_input_offset()) {
      lseek(STDIN_FILENO, static_cast<off_t>(reply->reused().input_offset()), SEEK_SET);
    }
    Conclude(options, client, reply->reused().session_id(), reply->totals(), begun);
    EndLike({ChildEnd::kExited, reply->reused().exit_status(), ""});
  }

  const v1::RunReply::Started& started = reply->started();
  if (terminal >= 0) pool.FollowSize(terminal);
  call.Listen({[&pool](int32_t number) { pool.Replace(number); }, [&pool] { pool.TakeOver(); }});
  const ChildEnd end = RunChild(start, words, EnvironmentFor(command, started), OpenSubstitutes(started));
  const absl::StatusOr<v1::RunReply> finished = call.FinishBuild(FinishRequest(end), OutputsBlocked);
  pool.Settle();
  if (!end.reason.empty()) Fail(absl::NotFoundError(end.reason));
  if (!finished.ok()) {
    Fail(absl::Status(finished.status().code(), absl::StrCat("what session ", started.session_id(),
                                                             " did was not learnt: ", finished.status().message())),
         kExitFailed, "the same again");
  } else if (end.kind != ChildEnd::kNotStarted) {
    Conclude(options, client, started.session_id(), finished->totals(), begun);
  }
  EndLike(end);
}

Command::Run DefineBuild(CLI::App& parser) {
  const auto options = std::make_shared<BuildOptions>();
  parser.add_option("--name", options->name);
  parser.add_flag("--dry-run", options->dry_run);
  parser.add_flag("--explain", options->explain);
  return [options](const std::vector<std::string>& words) { return Build(*options, words); };
}

}  // namespace

const Command kBuildCommand = {"build", "run a command, but only those parts of it whose inputs changed", kBuildHelp,
                               DefineBuild, true};

}  // namespace ocpwatch
