#include "daemon/build/recorder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "daemon/build/interpreter.h"
#include "daemon/build/process_state.h"
#include "daemon/build/recorder_impl.h"
#include "daemon/session/path.h"

namespace ocpwatch {

namespace {

// As many scripts may stand behind each other as the kernel follows: execve(2).
constexpr int kMaxInterpreters = 5;

}  // namespace

BuildRecorder::BuildRecorder(BuildSetup setup) : impl_(std::make_unique<Impl>(std::move(setup))) {}
BuildRecorder::~BuildRecorder() = default;

std::shared_ptr<const StoredAction> BuildRecorder::TryWhole(Decisions* decisions) {
  absl::MutexLock lock(&mutex_);
  return impl_->TryWhole(decisions);
}

std::vector<PlannedCommand> BuildRecorder::Plan() {
  absl::MutexLock lock(&mutex_);
  return impl_->Plan();
}

std::vector<v1::Substitute> BuildRecorder::PrepareCommand(std::shared_ptr<Relay> relay) {
  absl::MutexLock lock(&mutex_);
  return impl_->PrepareCommand(std::move(relay));
}

v1::BuildTotals BuildRecorder::Totals() const {
  absl::MutexLock lock(&mutex_);
  return impl_->Totals();
}

Decisions BuildRecorder::OnFrame(const v1::Frame& frame, const Applied& applied, FollowedModel model) {
  absl::MutexLock lock(&mutex_);
  return impl_->OnFrame(frame, applied, model);
}

std::optional<v1::Reply> BuildRecorder::Decide(const v1::Frame& frame, bool must, EarlyAnswer early,
                                               FollowedModel model, Decisions* decisions) {
  absl::MutexLock lock(&mutex_);
  return impl_->Decide(frame, must, early, model, decisions);
}

void BuildRecorder::OnDamage(uint32_t process, FollowedModel model) {
  absl::MutexLock lock(&mutex_);
  impl_->OnDamage(process, model);
}

void BuildRecorder::OnCommandStarted(CommandId command, FollowedModel model) {
  absl::MutexLock lock(&mutex_);
  impl_->OnCommandStarted(command, model);
}

Decisions BuildRecorder::OnProcessGone(uint32_t process, FollowedModel model) {
  absl::MutexLock lock(&mutex_);
  return impl_->OnProcessGone(process, model);
}

Decisions BuildRecorder::OnSessionEnd(FollowedModel model) {
  absl::MutexLock lock(&mutex_);
  return impl_->OnSessionEnd(model);
}

bool BuildRecorder::OnIdle(FollowedModel model, Decisions* decisions) {
  absl::MutexLock lock(&mutex_);
  return impl_->OnIdle(model, decisions);
}

BuildRecorder::Impl::Impl(BuildSetup setup)
    : setup_(std::move(setup)),
      store_(*setup_.store),
      intents_(setup_.neighbours->intents),
      running_(setup_.neighbours->running),
      session_(intents_.Join()),
      store_use_(store_.Use()),
      ignored_environment_(setup_.configuration),
      client_attributes_(AttributesOf(setup_.start.client_pid()).value_or(Attributes()).others) {
  for (const uint32_t op : setup_.header.ops()) ops_.push_back(static_cast<v1::Op>(op));
}

BuildRecorder::Impl::~Impl() { intents_.Leave(session_); }

Scope* BuildRecorder::Impl::ScopeOf(CommandId command) const {
  const auto found = scopes_.find(command);
  return found == scopes_.end() ? nullptr : found->second.get();
}

void BuildRecorder::Impl::TaintUp(Scope* scope, Reason reason, const std::string& text, const std::string& path) {
  for (; scope != nullptr; scope = scope->parent) scope->Taint(reason, text, path);
}

void BuildRecorder::Impl::TellDecision(Scope* scope, Decisions* decisions) {
  v1::Decision& decision = scope->start.decision;
  if (decision.outcome() == v1::Decision::OUTCOME_UNSPECIFIED) return;
  decision.set_command(scope->command);
  decisions->push_back(std::move(decision));
  decision.Clear();
}

Decisions BuildRecorder::Impl::OnFrame(const v1::Frame& frame, const Applied& applied, FollowedModel model) {
  last_applied_ = applied;
  Decisions decisions;
  Scope* const scope = ScopeOf(applied.command);
  if (scope == nullptr) return decisions;
  switch (frame.body_case()) {
    case v1::Frame::kProc:
      if (frame.proc().kind() == v1::Proc::KIND_IMAGE) {
        OnImage(scope, frame.proc(), model);
        TellDecision(scope, &decisions);
      }
      break;
    case v1::Frame::kBefore: {
      const v1::BeforeCall& call = frame.before();
      const v1::Op op = OpOf(call.function());
      if (op == v1::OP_FORK) OnFork(scope, call.child());
      if (op == v1::OP_EXEC || op == v1::OP_SPAWN) {
        Request& request = requests_[uint64_t{frame.process()} << 32 | call.id()];
        request.argv.insert(request.argv.end(), call.argv().begin(), call.argv().end());
        request.environment.insert(request.environment.end(), call.environment().begin(), call.environment().end());
        // Of one that does not wait nothing is asked: popen, say.
        if (call.reply_slot() == 0 && !call.more()) requests_.erase(uint64_t{frame.process()} << 32 | call.id());
      } else if (call.opaque() != v1::OPAQUE_NONE) {
        TaintUp(scope, v1::Decision::REASON_OPAQUE, "it did what cannot be seen");
      }
      break;
    }
    case v1::Frame::kAfter:
      OnAfter(scope, frame, applied, model);
      break;
    case v1::Frame::kLost:
      TaintUp(scope, v1::Decision::REASON_UNSEEN, "some of its calls were lost");
      break;
    default:
      break;
  }
  return decisions;
}

void BuildRecorder::Impl::OnDamage(uint32_t process, FollowedModel model) {
  const Process* const known = process == 0 ? nullptr : model.tracker.processes().Find(process);
  Scope* const scope = known == nullptr ? nullptr : ScopeOf(known->command);
  if (scope != nullptr) return TaintUp(scope, v1::Decision::REASON_UNSEEN, "some of its calls were lost");
  for (const auto& [command, any] : scopes_) any->Taint(v1::Decision::REASON_UNSEEN, "some calls were lost");
}

void BuildRecorder::Impl::OnFork(Scope* scope, uint32_t child) {
  scope->forks.insert(child);
  forked_[child] = scope;
}

void BuildRecorder::Impl::OnCommandStarted(CommandId id, FollowedModel model) {
  const Command& command = *model.trace.Find(id);
  if (const auto forked = forked_.find(command.process); forked != forked_.end()) {
    forked->second->forks.erase(command.process);
    forked_.erase(forked);
  }
  auto scope = std::make_unique<Scope>();
  scope->command = id;
  scope->parent = ScopeOf(command.parent);
  scope->process = command.process;
  scope->start_ns = command.start_ns;
  if (scope->parent != nullptr) scope->since = scope->parent->since;
  if (const auto start = starts_.find(command.process); start != starts_.end()) {
    scope->start = std::move(start->second);
    scope->since = scope->start.since;
    if (const Process* const process = model.tracker.processes().Find(command.process); process != nullptr) {
      scope->start.ticket.SetPid(process->pid);
    }
    starts_.erase(start);
  }
  for (Scope* above = scope->parent; above != nullptr; above = above->parent) ++above->commands;
  if (scope->parent != nullptr) scope->parent->children.insert(scope.get());
  if (command.opaque != v1::OPAQUE_NONE) {
    TaintUp(scope.get(), v1::Decision::REASON_OPAQUE, "it cannot be observed", command.executable);
  }
  for (const OutputGroup& group : scope->start.outputs) {
    if (group.kind != OpenDescriptor::Kind::kFile) continue;
    for (const auto& [other_id, other] : scopes_) {
      if (!scope->IsBeside(*other)) continue;
      for (const OutputGroup& theirs : other->start.outputs) {
        if (theirs.dev != group.dev || theirs.ino != group.ino) continue;
        scope->Taint(v1::Decision::REASON_HAZARD, "another command wrote to its output at the same time", group.path);
        other->Taint(v1::Decision::REASON_HAZARD, "another command wrote to its output at the same time", group.path);
      }
    }
  }
  scopes_.emplace(id, std::move(scope));
}

void BuildRecorder::Impl::ObserveLoader(Scope* scope, const v1::Proc& proc, FollowedModel model) {
  constexpr absl::string_view kLibraryPath = "LD_LIBRARY_PATH=";
  constexpr absl::string_view kPreload = "LD_PRELOAD=";
  const std::string& cwd = model.trace.Find(scope->command)->cwd;
  const auto look = [&](const std::string& spelled, uint32_t weight) {
    std::string path;
    if (!ResolvePath("/", cwd, spelled, &path) || !Counts(scope, path)) return;
    ObserveNow(scope, model.trace.Intern(path), /*nofollow=*/false, weight, model.trace);
  };
  for (const std::string& entry : scope->start.key.environment()) {
    absl::string_view value = entry;
    if (absl::ConsumePrefix(&value, kLibraryPath)) {
      for (const absl::string_view directory : absl::StrSplit(value, absl::ByAnyChar(":;"))) {
        for (const std::string& library : proc.libraries()) {
          look(absl::StrCat(directory.empty() ? "." : directory, "/", library.substr(library.rfind('/') + 1)),
               kExistence);
        }
      }
    } else if (absl::ConsumePrefix(&value, kPreload)) {
      for (const absl::string_view library : absl::StrSplit(value, absl::ByAnyChar(": "), absl::SkipEmpty())) {
        if (library.find('/') != library.npos) look(std::string(library), kContent);
      }
    }
  }
}

void BuildRecorder::Impl::ObserveInterpreters(Scope* scope, std::string script, const std::string& cwd,
                                              FollowedModel model) {
  for (int depth = 0; depth < kMaxInterpreters; ++depth) {
    std::string path;
    const std::string interpreter = InterpreterOf(script);
    if (interpreter.empty() || !ResolvePath("/", cwd, interpreter, &path) || !Counts(scope, path)) return;
    ObserveNow(scope, model.trace.Intern(path), /*nofollow=*/false, kContent | kMode, model.trace);
    script = std::move(path);
  }
}

void BuildRecorder::Impl::OnImage(Scope* scope, const v1::Proc& proc, FollowedModel model) {
  const Command& command = *model.trace.Find(scope->command);
  if (command.process != scope->process) return;
  const auto content = [&](const std::string& spelled) {
    std::string path;
    if (!ResolvePath("/", command.cwd, spelled, &path) || !Counts(scope, path)) return;
    programs_.insert(model.trace.Intern(path));
    ObserveNow(scope, model.trace.Intern(path), /*nofollow=*/false, kContent | kMode, model.trace);
  };
  content(command.executable);
  // The name by which it was asked for: a link to the program, or a script that has it as its interpreter.
  if (!proc.requested().empty() && !proc.requested().starts_with("/dev/fd/")) {
    content(proc.requested());
    std::string script;
    if (ResolvePath("/", command.cwd, proc.requested(), &script)) {
      ObserveInterpreters(scope, std::move(script), command.cwd, model);
    }
  }
  for (const std::string& library : proc.libraries()) {
    // One that was found below a relative name is told by that. The vdso is no file.
    if (library.find('/') != std::string::npos) content(library);
  }
  ObserveLoader(scope, proc, model);
  // A file as standard input is read from there on; it is not seen whether it is.
  for (const OpenDescriptor& open : scope->start.open) {
    const bool named = !open.path.empty() && open.path.front() == '/';
    if (open.kind == OpenDescriptor::Kind::kFile && open.readable() && named && Counts(scope, open.path)) {
      ObserveNow(scope, model.trace.Intern(open.path), /*nofollow=*/false, kContent, model.trace);
    }
  }
  if (proc.through_opaque()) TaintUp(scope, v1::Decision::REASON_OPAQUE, "what started it cannot be observed");
}

std::vector<Scope*> BuildRecorder::Impl::WritersBeside(const Scope& scope, PathId path) const {
  std::vector<Scope*> writers;
  for (const auto& [command, other] : scopes_) {
    if (other->Writes(path) && scope.IsBeside(*other)) writers.push_back(other.get());
  }
  return writers;
}

std::optional<v1::Reply> BuildRecorder::Impl::Decide(const v1::Frame& frame, bool must, EarlyAnswer early,
                                                     FollowedModel model, Decisions* decisions) {
  v1::Reply reply;
  reply.mutable_proceed();
  Applied applied = last_applied_;
  const auto request = requests_.find(uint64_t{frame.process()} << 32 | frame.before().id());
  if (request != requests_.end() && request->second.asked_ns != 0) {
    if (!must && WaitsOn(&request->second)) return std::nullopt;
    applied = request->second.applied;
  }
  Scope* const scope = ScopeOf(applied.command);
  if (scope == nullptr) return reply;
  const v1::BeforeCall& call = frame.before();
  const v1::Op op = OpOf(call.function());
  if (op == v1::OP_EXEC || op == v1::OP_SPAWN) return DecideExec(scope, frame, must, early, applied, model, decisions);
  if (op == v1::OP_LIST || op == v1::OP_OPEN_DIR) {
    if (applied.path != kNoPath && Counts(scope, model.trace.Path(applied.path))) {
      ObserveNow(scope, applied.path, /*nofollow=*/false, kListing, model.trace);
    }
    return reply;
  }
  if (Changes(op, call.flags())) BeforeChange(scope, op, call, frame.process(), model);
  return reply;
}

Decisions BuildRecorder::Impl::OnSessionEnd(FollowedModel model) {
  Decisions decisions;
  // Whatever has not ended by now outlives the command.
  std::vector<Scope*> left;
  for (const auto& [command, scope] : scopes_) left.push_back(scope.get());
  std::sort(left.begin(), left.end(), [](const Scope* a, const Scope* b) { return a->command > b->command; });
  for (Scope* scope : left) {
    scope->Taint(v1::Decision::REASON_OUTLIVED, "it went on after the session's command had ended");
    End(scope, model, &decisions);
  }
  KeepEnded(model, &decisions);
  store_.CommitSoon();
  store_use_.reset();
  return decisions;
}

}  // namespace ocpwatch
