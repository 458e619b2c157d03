// Exec: how a process gets a command, seen or not.
#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/session/path.h"
#include "daemon/session/tracker_impl.h"

namespace ocpwatch {

bool Tracker::Impl::OwnsCommand(const Process& process) const {
  const Command* const command = trace_.Find(process.command);
  return command != nullptr && command->process == process.number;
}

Command& Tracker::Impl::BeginCommand(Process& process, uint64_t time_ns) {
  const CommandId previous = process.command;
  if (OwnsCommand(process)) {
    EndCommand(previous, v1::END_EXEC, 0, time_ns);
  } else if (Command* const forked_from = trace_.Find(previous);
             forked_from != nullptr && forked_from->forks > 0 &&
             !(process.pending != nullptr && process.pending->spawn)) {
    --forked_from->forks;
  }
  process.descriptors.DropCloseOnExec();
  process.actions.reset();
  process.exit_seen = false;
  Command& command = trace_.NewCommand();
  // A command can have been taken back since its number was noted here; then there is no parent, and never a loop.
  command.parent = previous < command.id ? previous : 0;
  command.process = process.number;
  command.pid = process.pid;
  command.start_ns = time_ns;
  command.cwd = trace_.Path(process.cwd);
  process.command = command.id;
  return command;
}

void Tracker::Impl::UseInherited(Process& process, uint64_t time_ns) {
  process.descriptors.ForEach([&](int32_t fd, const Descriptor& descriptor) {
    const bool meant_for_it = fd <= STDERR_FILENO || descriptor.opener == process.number;
    if (!meant_for_it || descriptor.command == process.command || descriptor.directory) return;
    const uint32_t kinds = BitsIf(descriptor.readable, kRead) | BitsIf(descriptor.writable, kWritten);
    if (kinds != 0) trace_.AddUse(process.command, descriptor.path, kinds | kInherited, time_ns);
  });
}

bool Tracker::Impl::IsImageOf(const PendingExec& pending, Process& process, const v1::Proc& proc) {
  if (pending.path == kNoPath || proc.requested().starts_with("/dev/fd/")) return true;
  const std::string& expected = trace_.Path(pending.path);
  const auto is_expected = [&](const std::string& path) {
    std::string resolved;
    return ResolvePath(trace_.Path(process.root), trace_.Path(process.cwd), path, &resolved) && resolved == expected;
  };
  return is_expected(proc.requested()) || is_expected(proc.executable()) ||
         (!pending.argv.empty() && pending.argv == Arguments(proc.argv()));
}

void Tracker::Impl::OnImage(Process& process, const v1::Proc& proc, uint64_t time_ns) {
  uint64_t start_ns = time_ns;
  Command* command = nullptr;
  bool fresh = true;
  if (process.pending != nullptr && IsImageOf(*process.pending, process, proc)) {
    start_ns = process.pending->time_ns;
    if (process.pending->made != 0) {  // It was thought opaque, and is not.
      command = trace_.Find(process.pending->made);
      ClearOpaque(process.pending->made);
      fresh = false;
    }
  } else if (process.pending != nullptr) {
    SettlePending(process);  // Another program came in between and did not speak.
  }
  if (ResolvePath(trace_.Path(process.root), "/", proc.cwd(), &resolved_)) process.cwd = trace_.Intern(resolved_);
  if (command == nullptr) command = &BeginCommand(process, start_ns);
  command->pid = process.pid;
  command->cwd = trace_.Path(process.cwd);
  command->argv = Arguments(proc.argv());
  if (command->argv.empty() && process.pending != nullptr) command->argv = process.pending->argv;
  process.pending.reset();

  Applied unused;
  const Context context{process, start_ns, unused};
  const PathId executable = proc.executable().empty() ? kNoPath : Resolve(process, proc.executable(), AT_FDCWD);
  if (executable != kNoPath) command->executable = trace_.Path(executable);
  Use(context, executable, kRead | kExecuted, 0);
  if (!proc.requested().empty() && !proc.requested().starts_with("/dev/fd/")) {
    const PathId requested = Resolve(process, proc.requested(), AT_FDCWD);
    if (requested != executable) Use(context, requested, kRead | kExecuted, 0);
  }
  for (const std::string& library : proc.libraries()) {
    if (library.find('/') == std::string::npos) continue;  // The vdso is no file.
    Use(context, Resolve(process, library, AT_FDCWD), kRead | kLoaded, 0);
  }
  if (fresh) {
    UseInherited(process, start_ns);
    if (observer_ != nullptr) observer_->OnCommandStarted(command->id);
  }
}

void Tracker::Impl::OnExec(const Context& context, const v1::BeforeCall& call) {
  Process& process = context.process;
  if (process.pending != nullptr && process.pending->call == call.id() && process.pending->made == 0 &&
      call.path().empty() && call.argv_size() != 0) {  // More of the same call's arguments.
    auto& argv = process.pending->argv;
    argv.insert(argv.end(), call.argv().begin(), call.argv().end());
    return;
  }
  if (process.pending != nullptr && process.pending->made != 0) SettlePending(process);
  Count(call.function());
  auto pending = std::make_unique<PendingExec>();
  pending->call = call.id();
  pending->time_ns = context.time_ns;
  pending->path = Resolve(process, call.path(), call.fd());
  pending->argv = Arguments(call.argv());
  pending->opaque = call.opaque();
  process.pending = std::move(pending);
  context.applied.path = process.pending->path;
  context.applied.command = process.command;
  if (call.opaque() != v1::OPAQUE_NONE) MakeUnseenCommand(process, call.opaque(), "");
}

CommandId Tracker::Impl::MakeUnseenCommand(Process& process, v1::OpaqueReason reason, std::string detail) {
  PendingExec& pending = *process.pending;
  pending.previous = process.command;
  pending.previous_ended = OwnsCommand(process) && trace_.Find(process.command)->end == v1::END_RUNNING;
  Command& command = BeginCommand(process, pending.time_ns);
  pending.made = command.id;
  command.argv = pending.argv;
  Applied unused;
  const Context context{process, pending.time_ns, unused};
  if (pending.path != kNoPath) {
    command.executable = trace_.Path(pending.path);
    Use(context, pending.path, kRead | kExecuted, 0);
  }
  UseInherited(process, pending.time_ns);
  MarkOpaque(command.id, reason, std::move(detail));
  if (observer_ != nullptr) observer_->OnCommandStarted(command.id);
  return command.id;
}

void Tracker::Impl::OnDecision(const v1::Decision& decision) {
  const bool reused = decision.outcome() == v1::Decision::OUTCOME_REUSED;
  Process* process = processes_.Find(decision.process());
  if (process == nullptr && decision.process() == 1 && reused) {  // The session's own: it has not been started.
    EnsureSessionCommand(decision.time_ns());
    process = processes_.Find(1);
    ClearOpaque(process->command);
  }
  if (process == nullptr) return;
  if (reused && process->pending != nullptr) {
    const CommandId made = process->pending->made;
    if (made != 0) ClearOpaque(made);
    Command& command = made != 0 ? *trace_.Find(made) : BeginCommand(*process, process->pending->time_ns);
    const std::unique_ptr<PendingExec> pending = std::move(process->pending);
    command.argv = pending->argv;
    if (pending->path != kNoPath) command.executable = trace_.Path(pending->path);
    if (made == 0 && observer_ != nullptr) observer_->OnCommandStarted(command.id);
    process->exit_seen = true;
    process->exit_value = decision.exit_status();
    EndCommand(command.id, v1::END_EXIT, decision.exit_status(), decision.time_ns());
  }
  Command* const command = trace_.Find(decision.command() != 0 ? decision.command() : process->command);
  if (command == nullptr) return;
  (decision.outcome() == v1::Decision::OUTCOME_RAN || reused ? command->decision : command->kept) =
      std::make_shared<const v1::Decision>(decision);
}

void Tracker::Impl::SettlePending(Process& process) {
  if (process.pending == nullptr) return;
  if (process.pending->made == 0) MakeUnseenCommand(process, v1::OPAQUE_SILENT, "");
  process.pending.reset();
}

void Tracker::Impl::TakeBackCommand(Process& process, const PendingExec& pending, int32_t error) {
  ClearOpaque(pending.made);
  if (process.command == pending.made) process.command = pending.previous;
  if (!trace_.DropNewest(pending.made)) {
    // Others have come since, so its number is taken: it stays as an attempt.
    EndCommand(pending.made, v1::END_UNKNOWN, 0, pending.time_ns);
    trace_.Find(pending.made)->opaque_detail = absl::StrCat("could not be executed, errno ", error);
  }
  Command* const previous = trace_.Find(pending.previous);
  if (previous == nullptr) return;
  if (pending.previous_ended) {
    previous->end = v1::END_RUNNING;
    previous->end_ns = 0;
  } else if (!pending.spawn && previous->process != process.number) {
    ++previous->forks;
  }
}

void Tracker::Impl::OnExecFailed(const Context& context, const v1::AfterCall& call) {
  Process& process = context.process;
  if (call.error() == 0) return;
  PathId path = kNoPath;
  if (process.pending != nullptr && process.pending->call == call.id()) {
    const std::unique_ptr<PendingExec> pending = std::move(process.pending);
    path = pending->path;
    if (pending->made != 0) TakeBackCommand(process, *pending, call.error());
  } else {
    path = call.path().empty() ? kNoPath : Resolve(process, call.path(), call.fd());
  }
  context.applied.command = process.command;
  Use(context, path, kDenied, call.error());
}

}  // namespace ocpwatch
