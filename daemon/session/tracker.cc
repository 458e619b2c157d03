#include "daemon/session/tracker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/session/path.h"
#include "daemon/session/tracker_impl.h"

namespace ocpwatch {

Tracker::Tracker(Trace* trace, TrackerObserver* observer) : impl_(std::make_unique<Impl>(trace, observer)) {}
Tracker::~Tracker() = default;

void Tracker::Begin(const v1::SessionHeader& header) { impl_->Begin(header); }
Applied Tracker::OnFrame(const v1::Frame& frame) { return impl_->OnFrame(frame); }
void Tracker::OnDamage(const v1::StreamDamage& damage) { impl_->OnDamage(damage); }
void Tracker::OnDecision(const v1::Decision& decision) { impl_->OnDecision(decision); }
const ProcessTable& Tracker::processes() const { return impl_->processes(); }
void Tracker::OnEnd(const v1::SessionEnd& end) { impl_->OnEnd(end); }
void Tracker::Close(absl::FunctionRef<bool(uint32_t)> lives) { impl_->Close(lives); }

Applied Tracker::Apply(const v1::Event& event) {
  switch (event.body_case()) {
    case v1::Event::kFrame:
      return impl_->OnFrame(event.frame());
    case v1::Event::kDamage:
      impl_->OnDamage(event.damage());
      return {.process = event.damage().process()};
    case v1::Event::kEnd:
      impl_->OnEnd(event.end());
      return {};
    case v1::Event::kDecision:
      impl_->OnDecision(event.decision());
      return {.process = event.decision().process()};
    case v1::Event::kHeader:
    case v1::Event::kSummary:
    case v1::Event::BODY_NOT_SET:
      return {};
  }
  return {};
}

namespace {

LiveProcess Describe(const ProcessTable& processes, const Process& process) {
  const Process* const parent = processes.Find(process.parent);
  return {.process = process.number,
          .pid = process.pid,
          .parent_pid = parent != nullptr && parent->pid != 0 ? parent->pid : process.parent_pid,
          .last_seen_ns = process.last_seen_ns};
}

}  // namespace

std::vector<LiveProcess> Tracker::LiveProcesses() const {
  std::vector<LiveProcess> live;
  for (const Process* process : impl_->processes().InOrder()) {
    if (!process->ended) live.push_back(Describe(impl_->processes(), *process));
  }
  return live;
}

bool Tracker::FindLive(uint32_t number, LiveProcess* live) const {
  const Process* const process = impl_->processes().Find(number);
  if (process == nullptr || process->ended) return false;
  *live = Describe(impl_->processes(), *process);
  return true;
}

void Tracker::Impl::Begin(const v1::SessionHeader& header) {
  trace_.start_ns = header.start_ns();
  trace_.truth.set_complete(true);
  slash_ = trace_.Intern("/");
  session_cwd_ = slash_;
  if (ResolvePath("/", "/", header.cwd(), &resolved_)) session_cwd_ = trace_.Intern(resolved_);
  session_argv_.assign(header.argv().begin(), header.argv().end());
  ops_.clear();
  for (const uint32_t number : header.ops()) {
    const auto op = static_cast<int>(number);
    ops_.push_back(v1::Op_IsValid(op) ? static_cast<v1::Op>(op) : v1::OP_NONE);
  }
  trace_.calls.assign(ops_.size(), 0);
}

v1::Op Tracker::Impl::OpOf(uint32_t function) {
  if (function < ops_.size()) return ops_[function];
  NoteGap("There were calls of functions that the session's call table does not have.");
  return v1::OP_NONE;
}

void Tracker::Impl::Count(uint32_t function) {
  if (function < trace_.calls.size()) ++trace_.calls[function];
}

Applied Tracker::Impl::OnFrame(const v1::Frame& frame) {
  ++trace_.events;
  Applied applied;
  applied.process = frame.process();
  const uint64_t time_ns = frame.time_ns();
  if (frame.process() == 0) {
    NoteGap("There were frames of a process that has no number.");
    return applied;
  }
  if (frame.body_case() == v1::Frame::kProc) {
    OnProc(frame.proc(), frame.process(), time_ns, &applied);
  } else {
    Process* process = processes_.Find(frame.process());
    if (process == nullptr) process = &Adopt(frame.process(), 0, false, time_ns);
    if (!process->spoke) {
      process->spoke = true;
      ++trace_.processes;
    }
    process->last_seen_ns = std::max(process->last_seen_ns, time_ns);
    const Context context{*process, time_ns, applied};
    switch (frame.body_case()) {
      case v1::Frame::kBefore:
        OnBefore(context, frame.before());
        break;
      case v1::Frame::kAfter:
        OnAfter(context, frame.after());
        break;
      case v1::Frame::kLost:
        OnLost(context, frame.lost().frames());
        break;
      default:
        break;
    }
  }
  if (const Process* process = processes_.Find(frame.process()); process != nullptr) {
    applied.pid = process->pid;
    if (applied.command == 0) applied.command = process->command;
    if (process->exit_seen && OwnsCommand(*process)) {
      // What runs at exit still belongs to the command.
      Command& command = *trace_.Find(process->command);
      command.end_ns = std::max(command.end_ns, time_ns);
    }
  }
  return applied;
}

void Tracker::Impl::OnBefore(const Context& context, const v1::BeforeCall& call) {
  const v1::Op op = OpOf(call.function());
  switch (op) {
    case v1::OP_EXEC:
      OnExec(context, call);
      break;
    case v1::OP_SPAWN:
      OnSpawn(context, call);
      break;
    case v1::OP_FORK:
      OnFork(context, call.child());
      break;
    case v1::OP_EXIT:
      Count(call.function());
      OnExit(context, call.value());
      break;
    default:
      context.applied.path = Resolve(context.process, call.path(), call.fd());
      if (!call.path2().empty()) context.applied.path2 = Resolve(context.process, call.path2(), call.fd2());
      break;
  }
  // Of an exec or spawn it is said of the program to come.
  if (call.opaque() != v1::OPAQUE_NONE && op != v1::OP_EXEC && op != v1::OP_SPAWN) {
    MarkOpaque(context.process.command, call.opaque(), "");
  }
}

void Tracker::Impl::OnAfter(const Context& context, const v1::AfterCall& call) {
  const v1::Op op = OpOf(call.function());
  if (op != v1::OP_EXEC) Count(call.function());  // An exec was counted before it was made.
  v1::OpaqueReason opaque = call.opaque();
  std::string detail;
  switch (op) {
    case v1::OP_NONE:
    case v1::OP_KILL:
      break;
    case v1::OP_EXEC:
      OnExecFailed(context, call);
      break;
    case v1::OP_SPAWN:
      OnSpawnResult(context, call);
      opaque = v1::OPAQUE_NONE;
      break;
    case v1::OP_FORK:
      OnForkResult(context, call);
      break;
    case v1::OP_WAIT:
      if (call.error() == 0) OnWait(context, call.result(), call.value());
      break;
    case v1::OP_RAW:
      // A call that failed without having been made (not known to the kernel) has hidden nothing.
      if (opaque == v1::OPAQUE_NONE) opaque = v1::OPAQUE_RAW_SYSCALL;
      if (call.error() == ENOSYS || (opaque == v1::OPAQUE_IO_URING && call.error() != 0)) opaque = v1::OPAQUE_NONE;
      detail = absl::StrCat("system call ", call.value());
      break;
    case v1::OP_FILE_ACTION:
      OnFileAction(context, call);
      break;
    case v1::OP_CLOSE:
    case v1::OP_CLOSE_RANGE:
    case v1::OP_DUP:
    case v1::OP_FCNTL:
    case v1::OP_NEW_FD:
    case v1::OP_FD_FLAGS:
      OnDescriptorCall(context, op, call);
      break;
    default:
      OnFileCall(context, op, call);
      break;
  }
  if (opaque != v1::OPAQUE_NONE && op != v1::OP_EXEC) {
    MarkOpaque(context.process.command, opaque, std::move(detail));
  }
}

void Tracker::Impl::OnLost(const Context& context, uint64_t frames) {
  trace_.truth.set_lost_frames(trace_.truth.lost_frames() + frames);
  MarkOpaque(context.process.command, v1::OPAQUE_LOST_FRAMES, absl::StrCat(frames, " frames did not arrive"));
  SettleTruth();
}

void Tracker::Impl::OnDamage(const v1::StreamDamage& damage) {
  ++trace_.events;
  trace_.truth.set_lost_frames(trace_.truth.lost_frames() + damage.frames());
  const Process* const process = damage.process() == 0 ? nullptr : processes_.Find(damage.process());
  if (process != nullptr && process->command != 0) {
    MarkOpaque(process->command, v1::OPAQUE_LOST_FRAMES, damage.what());
  }
  NoteGap(damage.process() == 0 ? damage.what() : absl::StrCat("Process ", damage.process(), ": ", damage.what()));
}

void Tracker::Impl::NoteGap(std::string note) {
  has_gap_ = true;
  auto& notes = *trace_.truth.mutable_notes();
  if (note.size() > kMaxNoteBytes) note.resize(kMaxNoteBytes);
  for (char& c : note) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f)
      c = '?';  // A proto string is UTF-8.
  }
  if (static_cast<size_t>(notes.size()) < kMaxNotes && std::find(notes.begin(), notes.end(), note) == notes.end()) {
    notes.Add(std::move(note));
    if (static_cast<size_t>(notes.size()) == kMaxNotes) notes.Add("There is more that was not seen.");
  }
  SettleTruth();
}

void Tracker::Impl::MarkOpaque(CommandId id, v1::OpaqueReason reason, std::string detail) {
  Command* const command = trace_.Find(id);
  if (command == nullptr) {
    NoteGap("Something was not seen of a process before its command was known.");
    return;
  }
  if (command->opaque != v1::OPAQUE_NONE) return;
  command->opaque = v1::OpaqueReason_IsValid(reason) ? reason : v1::OPAQUE_LOST_FRAMES;
  if (detail.size() > kMaxNoteBytes) detail.resize(kMaxNoteBytes);
  command->opaque_detail = std::move(detail);
  trace_.truth.set_opaque_commands(trace_.truth.opaque_commands() + 1);
  SettleTruth();
}

void Tracker::Impl::ClearOpaque(CommandId id) {
  Command* const command = trace_.Find(id);
  if (command == nullptr || command->opaque == v1::OPAQUE_NONE) return;
  command->opaque = v1::OPAQUE_NONE;
  command->opaque_detail.clear();
  trace_.truth.set_opaque_commands(trace_.truth.opaque_commands() - 1);
  SettleTruth();
}

void Tracker::Impl::SettleTruth() {
  trace_.truth.set_complete(!has_gap_ && trace_.truth.opaque_commands() == 0 && trace_.truth.lost_frames() == 0);
}

void Tracker::Impl::OnEnd(const v1::SessionEnd& end) {
  if (trace_.end.how_case() != v1::SessionEnd::HOW_NOT_SET) return;
  trace_.end = end;
  if (end.how_case() == v1::SessionEnd::HOW_NOT_SET) trace_.end.set_unknown("");
  const bool known = end.how_case() == v1::SessionEnd::kExitStatus || end.how_case() == v1::SessionEnd::kSignal;
  if (!known) return;
  EnsureSessionCommand(end.time_ns());
  Process* const first = processes_.Find(1);
  if (first == nullptr) return;
  SettlePending(*first);
  if (OwnsCommand(*first)) {
    const Command& command = *trace_.Find(first->command);
    if (end.has_signal()) {
      EndCommand(first->command, v1::END_SIGNAL, end.signal(), end.time_ns());
    } else {
      EndCommand(first->command, v1::END_EXIT, end.exit_status(), first->exit_seen ? command.end_ns : end.time_ns());
    }
  }
  Reap(*first);
}

void Tracker::Impl::Close(absl::FunctionRef<bool(uint32_t)> lives) {
  for (Process* process : processes_.InOrder()) {
    SettlePending(*process);
    if (process->ended || lives(process->number)) continue;
    if (OwnsCommand(*process) && trace_.Find(process->command)->end == v1::END_RUNNING) {
      EndCommand(process->command, v1::END_UNKNOWN, 0, process->last_seen_ns);
    }
    process->ended = true;
  }
  if (processes_.budget().exceeded) {
    NoteGap("More descriptors were open than are followed; some paths are not known.");
  }
}

}  // namespace ocpwatch
