#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "cli/child.h"
#include "cli/client/paths.h"
#include "cli/client/session_call.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/record_options.h"
#include "cli/render/text.h"
#include "ocpwatch/v1/version.h"

extern char** environ;

namespace ocpwatch {
namespace {

constexpr std::string_view kDoctorHelp = R"(Usage: ocp-watch doctor

Checks whether everything is in place for recording, by recording a command that
does nothing, and says what to do where something is not. Starts the daemon if
none runs.

Options:
  -h, --help    this text

Exit status: 0 if recording works, 1 if not.

Example:
  ocp-watch doctor
)";

// The log of a build of ten million events is some 100 MB.
constexpr uint64_t kPlentyOfDisk = 1'000'000'000;
constexpr uint64_t kTooLittleDisk = 50'000'000;

enum class Verdict { kOk, kWarn, kFail };

// What was checked, line by line as it is known.
class Findings {
 public:
  explicit Findings(Output* out) : style_(StyleOf(STDOUT_FILENO)), out_(out) {}

  // `advice`: what to do about it.
  void Add(Verdict verdict, std::string what, const std::string& finding, const std::string& advice = "") {
    static constexpr const char* kWords[] = {"ok    ", "warn  ", "FAIL  "};
    static constexpr Color kColors[] = {Color::kGreen, Color::kYellow, Color::kRed};
    const auto index = static_cast<size_t>(verdict);
    failures_ += verdict == Verdict::kFail ? 1 : 0;
    what.resize(20, ' ');
    out_->Write(style_.Paint(kWords[index], kColors[index]) + what + Printable(finding) + "\n");
    if (!advice.empty()) out_->Write(std::string(26, ' ') + Printable(advice) + "\n");
    out_->Flush();
  }
  void Add(const std::string& what, const absl::Status& status, const std::string& advice = "") {
    Add(Verdict::kFail, what, std::string(status.message()), advice);
  }
  int failures() const { return failures_; }

 private:
  const Style style_;
  Output* const out_;
  int failures_ = 0;
};

void CheckDirectories(Findings* findings) {
  const absl::Status runtime = CheckRuntimeDirectory();
  if (absl::IsNotFound(runtime)) {
    findings->Add(Verdict::kOk, "runtime directory", RuntimeDirectory() + " will be made");
  } else if (runtime.ok()) {
    findings->Add(Verdict::kOk, "runtime directory", RuntimeDirectory());
  } else {
    findings->Add("runtime directory", runtime);
  }

  // Of a directory that is yet to be made, the nearest one that exists decides.
  std::string directory = StateDirectory();
  while (directory.size() > 1 && access(directory.c_str(), F_OK) != 0) {
    directory.resize(std::max<size_t>(directory.rfind('/'), 1));
  }
  if (access(directory.c_str(), W_OK | X_OK) != 0) {
    findings->Add(
        Verdict::kWarn, "state directory",
        absl::StrCat("cannot write to ", directory, ": ", strerror(errno), "; logs go to the runtime directory"),
        "set XDG_STATE_HOME to a directory of your own, then: ocp-watch stop");
  } else {
    findings->Add(Verdict::kOk, "state directory", StateDirectory());
  }
  struct statvfs disk = {};
  if (statvfs(directory.c_str(), &disk) != 0) return;
  const uint64_t free = uint64_t{disk.f_bavail} * disk.f_frsize;
  const Verdict verdict = free < kTooLittleDisk ? Verdict::kFail : free < kPlentyOfDisk ? Verdict::kWarn : Verdict::kOk;
  findings->Add(verdict, "disk space", Size(free) + " free for logs",
                verdict == Verdict::kOk ? "" : "ocp-watch rm --finished removes old sessions");
}

void CheckKernel(Findings* findings) {
  const int fd = memfd_create("ocp-watch doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd == -1 || ftruncate(fd, 4096) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    findings->Add(Verdict::kFail, "shared memory", absl::StrCat("no sealed memfd: ", strerror(errno)),
                  "a kernel from 3.17 on is needed, and a seccomp profile that allows memfd_create");
  } else {
    findings->Add(Verdict::kOk, "shared memory", "memfd with seals");
  }
  if (fd != -1) close(fd);
}

bool UnitsInstalled() {
  const char* home = getenv("HOME");
  std::vector<std::string> directories = {"/etc/systemd/user", "/usr/lib/systemd/user", "/usr/local/lib/systemd/user"};
  if (home != nullptr) directories.push_back(std::string(home) + "/.config/systemd/user");
  return std::any_of(directories.begin(), directories.end(), [](const std::string& directory) {
    return access((directory + "/ocp-watch.socket").c_str(), F_OK) == 0;
  });
}

std::optional<v1::StatusReply> CheckDaemon(absl::StatusOr<Client>* client, Findings* findings) {
  const absl::StatusOr<std::string> program = FindDaemon();
  if (program.ok()) {
    findings->Add(Verdict::kOk, "watchd", *program);
  } else {
    findings->Add("watchd", program.status(), "install it next to ocp-watch, or name it in OCP_WATCHD");
  }
  const bool was_running = Client::Connect(Client::Start::kNever).ok();
  *client = Client::Connect(Client::Start::kIfNeeded);
  if (!client->ok()) {
    findings->Add("daemon", client->status());
    return std::nullopt;
  }
  v1::StatusReply status;
  const auto context = NewContext(kQuickCall);
  const absl::Status asked = FromRpc((*client)->stub().Status(context.get(), v1::StatusRequest(), &status));
  if (!asked.ok()) {
    findings->Add("daemon", asked, "end it (see its pid in " + RuntimeDirectory() + "/watchd.lock) and try again");
    return std::nullopt;
  }
  findings->Add(Verdict::kOk, "daemon",
                absl::StrCat("answers, pid ", status.pid(), was_running ? "" : ", started for this check",
                             status.started_by().empty() ? "" : ", by " + status.started_by()));
  if (status.version() == kVersion && status.build_id() == kBuildId) {
    findings->Add(Verdict::kOk, "version", absl::StrCat(kVersion, " (", kBuildId, "), the daemon's too"));
  } else {
    findings->Add(Verdict::kWarn, "version",
                  absl::StrCat("this is ", kVersion, " (", kBuildId, "), the daemon is ", status.version(), " (",
                               status.build_id(), ")"),
                  "it is replaced once no session runs: ocp-watch stop --drain");
  }
  findings->Add(
      Verdict::kOk, "systemd",
      UnitsInstalled() ? "user units are installed" : "no user units; the daemon is started when it is needed");
  return status;
}

void CheckProc(pid_t daemon, Findings* findings) {
  const std::string path = absl::StrCat("/proc/", daemon, "/fd");
  DIR* descriptors = opendir(path.c_str());
  if (descriptors != nullptr) {
    closedir(descriptors);
    findings->Add(Verdict::kOk, "/proc", path + " can be opened");
    return;
  }
  findings->Add(
      Verdict::kWarn, "/proc",
      absl::StrCat("cannot open ", path, ": ", strerror(errno), "; traced processes use the socket, which is slower"),
      "is /proc mounted with hidepid, or the daemon in another pid namespace?");
}

// A command that does nothing, recorded as any other.
void CheckRecording(Client* client, Findings* findings) {
  const StartState start_state;
  SessionCall call(client);
  v1::RunRequest::Start start;
  start.set_mode(v1::MODE_RECORD);
  start.add_argv("true");
  start.set_cwd("/");
  start.set_client_version(kVersion);
  start.set_client_pid(getpid());
  const absl::StatusOr<v1::RunReply> reply = call.Start(start);
  if (!reply.ok()) {
    findings->Add("recording", reply.status());
    return;
  }
  const v1::RunReply::Started& started = reply->started();
  if (access(started.preload().c_str(), R_OK) == 0) {
    findings->Add(Verdict::kOk, "preload library", started.preload());
  } else {
    findings->Add(Verdict::kFail, "preload library",
                  absl::StrCat("cannot read ", started.preload(), ": ", strerror(errno)),
                  "install it, or start the daemon with --preload PATH");
  }
  const ChildEnd end =
      RunChild(start_state, {"true"}, WatchedEnvironment(environ, started.preload(), started.watch_variable()));
  v1::RunRequest::Finish finish;
  finish.set_exit_status(end.value);
  const absl::StatusOr<v1::Session> session = call.Finish(finish);
  if (!session.ok()) {
    findings->Add("recording", session.status());
    return;
  }
  if (end.kind != ChildEnd::kExited || end.value != 0) {
    findings->Add(Verdict::kFail, "recording", "\"true\" does not end with 0 when it is recorded",
                  absl::StrCat("see whether it can be loaded: LD_PRELOAD=", started.preload(), " true"));
  } else if (session->events() == 0 || !session->complete()) {
    findings->Add(Verdict::kFail, "recording",
                  session->not_seen().empty() ? "\"true\" was run and nothing of it was seen" : session->not_seen(0),
                  absl::StrCat("see whether it can be loaded: LD_PRELOAD=", started.preload(), " true"));
  } else {
    findings->Add(Verdict::kOk, "recording",
                  absl::StrCat("\"true\" was seen: ", Counted(session->events(), "event", "events"), " in ",
                               Duration(session->duration_ns())));
  }
  v1::RemoveSessionsRequest remove;
  remove.add_sessions(started.session_id());
  v1::RemoveSessionsReply removed;
  const auto context = NewContext(kQuickCall);
  // It is only tidier without it.
  (void)client->stub().RemoveSessions(context.get(), remove, &removed);
}

int Doctor() {
  Output out(STDOUT_FILENO);
  Findings findings(&out);
  CheckDirectories(&findings);
  CheckKernel(&findings);
  absl::StatusOr<Client> client = absl::UnknownError("");
  if (const std::optional<v1::StatusReply> status = CheckDaemon(&client, &findings)) {
    CheckProc(status->pid(), &findings);
    CheckRecording(&*client, &findings);
  }
  out.Write(findings.failures() == 0 ? "\nRecording works.\n"
                                     : "\nRecording does not work yet: see the lines with FAIL.\n");
  return findings.failures() == 0 ? 0 : kExitFailed;
}

Command::Run DefineDoctor(CLI::App&) {
  return [](const std::vector<std::string>&) { return Doctor(); };
}

}  // namespace

const Command kDoctorCommand = {"doctor", "check whether everything is in place", kDoctorHelp, DefineDoctor};

}  // namespace ocpwatch
