// Processes: how they begin (fork, spawn) and end (exit, wait).
#include <fcntl.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/session/tracker_impl.h"

namespace ocpwatch {

// ---- Births ----

Process* Tracker::Impl::NewChild(Process& parent, uint32_t number) {
  if (number == 0 || number == parent.number) return nullptr;
  if (const Process* const known = processes_.Find(number); known != nullptr) return nullptr;
  Process& child = processes_.Make(number);
  child.parent = parent.number;
  child.parent_pid = parent.pid;
  child.command = parent.command;
  child.cwd = parent.cwd;
  child.root = parent.root;
  child.descriptors = parent.descriptors;
  child.last_seen_ns = parent.last_seen_ns;
  return &child;
}

Process& Tracker::Impl::Adopt(uint32_t number, uint32_t parent_number, bool through_opaque, uint64_t time_ns) {
  Process* const parent = parent_number == number ? nullptr : processes_.Find(parent_number);
  if (parent != nullptr) {
    SettlePending(*parent);
    Process& child = *NewChild(*parent, number);
    if (through_opaque) child.descriptors.DropCloseOnExec();
    child.last_seen_ns = time_ns;
    return child;
  }
  if (parent_number == 1 || number != 1) {
    // Of the session's own command at the latest it is a child. It is that which was never heard of, or there is a gap.
    if (parent_number == 1 && processes_.Find(1) == nullptr) {
      EnsureSessionCommand(time_ns);
      if (Process* const first = processes_.Find(1); first != nullptr && number != 1) {
        return Adopt(number, 1, through_opaque, time_ns);
      }
    }
    NoteGap(absl::StrCat("Process ", number, " was not announced; what led to it was not seen."));
  }
  Process& process = processes_.Make(number);
  process.cwd = session_cwd_;
  process.root = slash_;
  process.last_seen_ns = time_ns;
  process.command = trace_.commands().empty() ? 0 : 1;
  return process;
}

void Tracker::Impl::EnsureSessionCommand(uint64_t time_ns) {
  if (processes_.Find(1) != nullptr) return;
  Process& first = processes_.Make(1);
  first.cwd = session_cwd_;
  first.root = slash_;
  first.last_seen_ns = time_ns;
  first.spoke = true;
  ++trace_.processes;
  Command& command = BeginCommand(first, trace_.start_ns);
  command.argv = session_argv_;
  if (!session_argv_.empty()) command.executable = session_argv_.front();
  MarkOpaque(command.id, v1::OPAQUE_SILENT, "");
  if (observer_ != nullptr) observer_->OnCommandStarted(command.id);
}

void Tracker::Impl::OnFork(const Context& context, uint32_t child_number) {
  Process* const child = NewChild(context.process, child_number);
  if (child == nullptr) return;
  if (context.process.actions != nullptr) {
    child->actions =
        std::make_unique<absl::flat_hash_map<uint64_t, std::vector<SpawnAction>>>(*context.process.actions);
  }
  if (Command* const command = trace_.Find(child->command); command != nullptr) ++command->forks;
}

void Tracker::Impl::OnForkResult(const Context& context, const v1::AfterCall& call) {
  if (call.child() == 0 || call.child() == context.process.number) return;
  if (call.error() == 0) OnFork(context, call.child());  // Where only the AfterCall is recorded.
  Process* const child = processes_.Find(call.child());
  if (child == nullptr || child->parent != context.process.number) return;
  if (call.error() == 0) {
    if (child->pid == 0 && call.result() > 0) processes_.SetPid(*child, static_cast<int32_t>(call.result()));
    return;
  }
  if (child->spoke) return;
  if (Command* const command = trace_.Find(child->command); command != nullptr && command->forks > 0) --command->forks;
  processes_.Erase(call.child());
}

void Tracker::Impl::OnProc(const v1::Proc& proc, uint32_t number, uint64_t time_ns, Applied* applied) {
  Process* process = processes_.Find(number);
  if (process == nullptr) {
    process = &Adopt(number, proc.parent(), proc.through_opaque(), time_ns);
    if (proc.kind() == v1::Proc::KIND_FORKED) {
      if (Command* const command = trace_.Find(process->command); command != nullptr) ++command->forks;
    }
  }
  if (!process->spoke) {
    process->spoke = true;
    ++trace_.processes;
  }
  process->last_seen_ns = std::max(process->last_seen_ns, time_ns);
  switch (proc.kind()) {
    case v1::Proc::KIND_IMAGE:
      processes_.SetPid(*process, proc.pid());
      process->parent_pid = proc.parent_pid();
      OnImage(*process, proc, time_ns);
      break;
    case v1::Proc::KIND_FORKED:
      processes_.SetPid(*process, proc.pid());
      process->parent_pid = proc.parent_pid();
      break;
    case v1::Proc::KIND_ARGUMENTS:
      if (OwnsCommand(*process)) {
        Command& command = *trace_.Find(process->command);
        command.argv.insert(command.argv.end(), proc.argv().begin(), proc.argv().end());
      }
      break;
    default:
      break;
  }
  applied->command = process->command;
  if (proc.kind() == v1::Proc::KIND_IMAGE) {
    if (const Command* const command = trace_.Find(process->command); command != nullptr) {
      applied->path = trace_.Intern(command->executable);
    }
  }
}

// ---- Spawn ----

void Tracker::Impl::OnSpawn(const Context& context, const v1::BeforeCall& call) {
  Process& parent = context.process;
  Process* child = processes_.Find(call.child());
  if (child != nullptr && child->parent == parent.number && child->pending != nullptr && child->pending->spawn &&
      child->pending->call == call.id() && call.path().empty()) {  // More of the same call's arguments.
    child->pending->argv.insert(child->pending->argv.end(), call.argv().begin(), call.argv().end());
    return;
  }
  child = NewChild(parent, call.child());
  if (child == nullptr) return;
  if (parent.actions != nullptr && call.object() != 0) {
    if (const auto actions = parent.actions->find(call.object()); actions != parent.actions->end()) {
      Applied unused;
      ApplyFileActions({*child, context.time_ns, unused}, actions->second);
    }
  }
  child->pending = std::make_unique<PendingExec>();
  PendingExec& pending = *child->pending;
  pending.call = call.id();
  pending.time_ns = context.time_ns;
  pending.spawn = true;
  pending.argv = Arguments(call.argv());
  pending.opaque = call.opaque();
  // A bare name is looked for along PATH, by libc itself; the image will say what was found.
  if (call.path().find('/') != std::string::npos) pending.path = Resolve(*child, call.path(), AT_FDCWD);
  context.applied.path = pending.path;
  if (call.opaque() != v1::OPAQUE_NONE) MakeUnseenCommand(*child, call.opaque(), "");
}

void Tracker::Impl::OnSpawnResult(const Context& context, const v1::AfterCall& call) {
  Process* const child = processes_.Find(call.child());
  if (child == nullptr || child->parent != context.process.number) return;
  const auto error = call.error() != 0 ? call.error() : static_cast<int32_t>(call.result());
  if (error == 0) {
    if (!child->spoke) {
      child->spoke = true;
      ++trace_.processes;
    }
    if (child->pid == 0) processes_.SetPid(*child, static_cast<int32_t>(call.value()));
    if (Command* const command = trace_.Find(child->command); command != nullptr && OwnsCommand(*child)) {
      command->pid = child->pid;
    }
    return;
  }
  if (child->spoke || child->pending == nullptr) return;  // It lives, whatever is said here.
  const std::unique_ptr<PendingExec> pending = std::move(child->pending);
  if (pending->made != 0) TakeBackCommand(*child, *pending, error);
  processes_.Erase(call.child());
  Use(context, pending->path, kDenied, error);
}

// ---- Ends ----

void Tracker::Impl::EndCommand(CommandId id, v1::EndKind kind, int32_t value, uint64_t time_ns) {
  Command* const command = trace_.Find(id);
  if (command == nullptr) return;
  command->end = kind;
  command->end_value = value;
  command->end_ns = std::max(time_ns, command->start_ns);
  if (observer_ != nullptr) observer_->OnCommandEnded(id);
}

void Tracker::Impl::Reap(Process& process) {
  if (!process.ended && observer_ != nullptr) observer_->OnProcessGone(process.number);
  process.ended = true;
  process.descriptors.Clear();
  process.actions.reset();
}

void Tracker::Impl::OnExit(const Context& context, int64_t status) {
  Process& process = context.process;
  process.exit_seen = true;
  process.exit_value = static_cast<int32_t>(status & 0xff);
  if (OwnsCommand(process)) EndCommand(process.command, v1::END_EXIT, process.exit_value, context.time_ns);
}

void Tracker::Impl::OnWait(const Context& context, int64_t pid, int64_t value) {
  if (pid <= 0 || pid > INT32_MAX) return;
  Process* const child = processes_.FindByPid(static_cast<int32_t>(pid));
  // A child that was adopted by another process is waited for by that one: parenthood is no condition, only that it is
  // not the waiter itself.
  if (child == nullptr || child->ended || child->number == context.process.number) return;
  const auto status = static_cast<int>(value);
  const bool is_unknown = value == -1;
  if (!is_unknown && !WIFEXITED(status) && !WIFSIGNALED(status)) return;  // Stopped or continued.
  SettlePending(*child);
  if (OwnsCommand(*child)) {
    if (!is_unknown && WIFSIGNALED(status)) {
      EndCommand(child->command, v1::END_SIGNAL, WTERMSIG(status), context.time_ns);
    } else if (!child->exit_seen) {
      // Without its own word only the wait tells; the caller of wait(NULL) never learns the status.
      EndCommand(child->command, is_unknown ? v1::END_UNKNOWN : v1::END_EXIT, is_unknown ? 0 : WEXITSTATUS(status),
                 context.time_ns);
    }
  }
  Reap(*child);
}

}  // namespace ocpwatch
