// Before a command is executed: does it have to be?
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "absl/strings/str_cat.h"
#include "daemon/build/process_state.h"
#include "daemon/build/recorder_impl.h"
#include "daemon/ingest/futex.h"
#include "ocpwatch/v1/ring.h"

namespace ocpwatch {

namespace {

// How long a command waits for another session that runs the same: it began before, so it ends before, unless it waits
// in its turn for something that the one who waits here holds.
constexpr int64_t kMaxWaitNs = 60'000'000'000;
// And for one that does not go on, because it is stopped or because nobody has noticed yet that it has ended; or that
// is at work on a file that would be put back, as is so for a moment while the other puts it back.
constexpr int64_t kPatienceNs = 100'000'000;
// And for one that has been spawned and has not said yet which process it is. That takes 1 ms, and longer where
// hundreds run at once; it does not come to it if it is stopped at once.
constexpr int64_t kMaxStartNs = 2'000'000'000;

// Names of temporary files that are looked for in a command's arguments. A driver has three or four at a time.
constexpr size_t kMaxTemporaries = 16;

v1::Reply KillReply(const v1::ActionRecord& record, Store* store) {
  v1::Reply reply;
  reply.mutable_kill()->set_exit_status(record.exit_status());
  for (const v1::Output& output : record.outputs()) {
    if (output.digest().size() == 0) continue;
    v1::Words& words = *reply.mutable_kill()->add_words();
    words.set_fd(output.fds(0));
    words.set_path(store->BlobPath(FromProto(output.digest())));
  }
  return reply;
}

}  // namespace

v1::Decision NewDecision(uint32_t process, v1::Decision::Outcome outcome, const Mismatch& why) {
  v1::Decision decision;
  decision.set_process(process);
  decision.set_time_ns(static_cast<uint64_t>(MonotonicNs()));
  decision.set_outcome(outcome);
  decision.set_why(why.reason);
  decision.set_reason(why.text);
  decision.set_path(why.path);
  return decision;
}

v1::Decision ReusedDecision(uint32_t process, const StoredAction& action) {
  v1::Decision decision = NewDecision(process, v1::Decision::OUTCOME_REUSED, {});
  decision.set_exit_status(action.record.exit_status());
  decision.set_saved_ns(action.record.duration_ns());
  decision.set_commands(action.record.commands());
  decision.set_fingerprint(action.record.fingerprint());
  return decision;
}

bool BuildRecorder::Impl::NeverReused(const std::string& executable) const {
  const std::string name = std::filesystem::path(executable).filename();
  // Who lets time pass, or holds a lock, does it for somebody else who is at work meanwhile.
  if (name == "sleep" || name == "usleep" || name == "flock") return true;
  const auto& never = setup_.configuration.never_reused();
  return std::find(never.begin(), never.end(), name) != never.end();
}

std::vector<SharedInput> BuildRecorder::Impl::FindShared(const Process* above, const std::vector<OpenDescriptor>& open,
                                                         FollowedModel model) {
  std::vector<SharedInput> shared;
  for (const OpenDescriptor& descriptor : open) {
    if (descriptor.kind != OpenDescriptor::Kind::kFile || !descriptor.readable() || descriptor.source_fd < 0) continue;
    const auto find = [&](int32_t pid, int32_t fd) {
      if (OffsetOf(pid, fd, descriptor.dev, descriptor.ino) != descriptor.offset) return;
      shared.push_back({descriptor.fd, descriptor.offset, pid, fd, descriptor.dev, descriptor.ino});
    };
    for (const Process* holder = above; holder != nullptr; holder = model.tracker.processes().Find(holder->parent)) {
      if (holder->ended || holder->pid == 0) continue;
      find(holder->pid, descriptor.source_fd);
      // Under another number, where it has opened it itself.
      holder->descriptors.ForEach([&](int32_t fd, const Descriptor& own) {
        if (fd == descriptor.source_fd || own.path == kNoPath || !own.readable) return;
        if (model.trace.Path(own.path) == descriptor.path) find(holder->pid, fd);
      });
    }
  }
  return shared;
}

void BuildRecorder::Impl::ForgetStart(uint32_t process) {
  const auto start = starts_.find(process);
  if (start == starts_.end()) return;
  for (const OutputGroup& group : start->second.outputs) {
    if (group.stream.has_value()) relay_->Cancel(*group.stream);
  }
  starts_.erase(start);
}

Mismatch BuildRecorder::Impl::ExplainNew(const v1::Fingerprint& key) {
  const auto similar = store_.FindSimilar(key, 1);
  if (similar.empty()) return {v1::Decision::REASON_NEW, "", "no earlier run of it is kept"};
  Mismatch why;
  why.text = DifferenceOf(key, similar.front()->record.key(), &why.reason, &why.path);
  if (why.reason == v1::Decision::REASON_NONE) return {v1::Decision::REASON_NEW, "", "no earlier run of it is kept"};
  return why;
}

std::vector<std::string> BuildRecorder::Impl::TemporariesAbove(const Scope* scope, const Trace& trace) {
  std::vector<std::string> paths;
  for (; scope != nullptr; scope = scope->parent) {
    for (auto path = scope->temporaries.rbegin(); path != scope->temporaries.rend(); ++path) {
      if (paths.size() == kMaxTemporaries) return paths;
      paths.push_back(trace.Path(*path));
    }
  }
  return paths;
}

bool BuildRecorder::Impl::WaitsOn(Request* request) const {
  if (request->awaited.empty()) return false;
  const std::optional<int32_t> pid = running_.Elsewhere(request->awaited, this);
  const int64_t now = MonotonicNs();
  const bool starts = pid == 0 && now - request->asked_ns < kMaxStartNs;
  if (!pid.has_value() || starts || GoesOn(*pid)) request->standing_ns = now;
  if (pid.has_value() && now - request->asked_ns < kMaxWaitNs && now - request->standing_ns < kPatienceNs) return true;
  request->awaited.clear();
  request->has_waited = true;
  return false;
}

std::optional<v1::Reply> BuildRecorder::Impl::DecideExec(Scope* parent, const v1::Frame& frame, bool must,
                                                         EarlyAnswer early, const Applied& applied, FollowedModel model,
                                                         Decisions* decisions) {
  v1::Reply proceed;
  proceed.mutable_proceed();
  const v1::BeforeCall& call = frame.before();
  const bool spawn = OpOf(call.function()) == v1::OP_SPAWN;
  const uint32_t number = spawn ? call.child() : frame.process();
  const Process* const caller = model.tracker.processes().Find(frame.process());
  const Process* const subject = model.tracker.processes().Find(number);
  const auto asked = requests_.find(uint64_t{frame.process()} << 32 | call.id());
  if (asked == requests_.end() || caller == nullptr || subject == nullptr) return proceed;
  Request request = std::move(asked->second);
  requests_.erase(asked);
  // A candidate along PATH that is not there has no arguments.
  if (request.argv.empty() || applied.path == kNoPath) return proceed;
  const std::string executable = model.trace.Path(applied.path);
  programs_.insert(applied.path);
  if (StateOf(executable, /*nofollow=*/false).type != v1::FILE_REGULAR) return proceed;

  // Whoever starts it was there before: what it has said comes first, and its own forks do not count as going on.
  Start start;
  start.since = intents_.Now();
  v1::Fingerprint& key = start.key;
  key.mutable_argv()->Assign(request.argv.begin(), request.argv.end());
  key.mutable_environment()->Assign(request.environment.begin(), request.environment.end());
  // What it uses will be known by where the links on the way lead: so is the place where it runs.
  key.set_cwd(RealPath(model.trace.Path(subject->cwd)));
  key.set_executable(executable);
  // The child of a vfork says itself who it is: nobody else knows yet.
  const int32_t pid = !spawn && call.value() > 0 ? static_cast<int32_t>(call.value()) : caller->pid;
  if (pid == 0) return proceed;
  const std::optional<Attributes> attributes = AttributesOf(pid);
  if (!attributes.has_value()) return proceed;
  key.set_umask(attributes->umask);
  // Only what somebody has changed since the start: else a build from a service would share nothing with one by hand.
  for (const std::string& line : attributes->others) {
    const auto& common = client_attributes_;
    if (std::find(common.begin(), common.end(), line) == common.end()) key.add_attributes(line);
  }
  std::vector<OpenDescriptor> open = DescriptorsOf(pid);
  if (spawn && caller->actions != nullptr && call.object() != 0) {
    if (const auto actions = caller->actions->find(call.object()); actions != caller->actions->end()) {
      open = AfterActions(std::move(open), actions->second, model.trace.Path(caller->cwd));
      for (const OpenDescriptor& made : open) {
        if (made.source_fd >= 0 || made.kind != OpenDescriptor::Kind::kFile || !made.writable()) continue;
        if (!Counts(parent, made.path)) continue;
        TaintUp(parent, v1::Decision::REASON_UNSEEN, "what it started opened a file for writing before it began",
                made.path);
      }
    }
  }
  start.open = AfterExec(pid, std::move(open));
  if (!NameNameless(pid, &start.open)) return proceed;
  start.inputs = FindShared(spawn ? caller : model.tracker.processes().Find(subject->parent), start.open, model);
  for (const SharedInput& input : start.inputs) {
    for (OpenDescriptor& descriptor : start.open) descriptor.shared = descriptor.shared || descriptor.fd == input.fd;
  }
  Describe(start.open, &key);
  Settle(ignored_environment_, &key);
  start.temporaries = Temporaries::Of(TemporariesAbove(parent, model.trace), &key);
  start.fingerprint = FingerprintOf(key);
  start.asked = true;
  if (HasEnded(start.fingerprint)) KeepEnded(model, nullptr);

  Mismatch why;
  bool busy = false;
  if (call.opaque() != v1::OPAQUE_NONE) {
    why = {v1::Decision::REASON_OPAQUE, executable, "cannot be observed"};
  } else if (NeverReused(executable)) {
    why = {v1::Decision::REASON_CONFIGURED, executable, "is never reused"};
  } else {
    CandidateRecords candidates(&store_, start.fingerprint, &start.temporaries);
    std::optional<Present> present(std::in_place, &store_, &absent_);
    for (size_t place = 0; place < candidates.size(); ++place) {
      if (std::optional<Mismatch> against = candidates.StillAgainst(place, &*present)) {
        if (why.reason == v1::Decision::REASON_NONE) why = *std::move(against);
        continue;
      }
      const StoredAction* const action = candidates.Get(place);
      if (action == nullptr) continue;
      const v1::ActionRecord& record = action->record;
      Mismatch mismatch;
      const v1::Reply reply = KillReply(record, &store_);
      if (reply.ByteSizeLong() > kReplyBytes) continue;  // A store in a very deep directory.
      const Reuse tried =
          TryReuse(parent, number, place, start.open, &candidates, &present, &mismatch, model, [&] { early(reply); });
      busy = busy || tried == Reuse::kBusy;
      if (tried == Reuse::kDone) {
        store_.NoteHit(action->id, record.duration_ns());
        totals_.set_reused(totals_.reused() + std::max(1u, record.commands()));
        totals_.set_saved_ns(totals_.saved_ns() + record.duration_ns());
        for (Scope* above = parent; above != nullptr; above = above->parent) above->commands += record.commands();
        decisions->push_back(ReusedDecision(number, *action));
        return reply;
      }
      if (why.reason == v1::Decision::REASON_NONE) why = std::move(mismatch);
    }
    start.ticket = running_.Begin(start.fingerprint, {this, spawn ? 0 : pid});
    const bool elsewhere = !start.ticket.held() && running_.Elsewhere(start.fingerprint, this).has_value();
    const int64_t now = MonotonicNs();
    if (request.asked_ns == 0) request.asked_ns = now;
    if (!busy) request.busy_ns = 0;
    if (busy && request.busy_ns == 0) request.busy_ns = now;
    if (!must && ((elsewhere && !request.has_waited) || (busy && now - request.busy_ns < kPatienceNs))) {
      if (elsewhere) request.awaited = start.fingerprint;
      request.standing_ns = now;
      request.applied = applied;
      requests_[uint64_t{frame.process()} << 32 | call.id()] = std::move(request);
      return std::nullopt;
    }
    store_.NoteMiss();
  }
  totals_.set_ran(totals_.ran() + 1);
  start.outputs = GroupOutputs(start.open);
  FindHolders(spawn ? *caller : *subject, number, start.open, model, &start.outputs);
  SeparateDescriptions(pid, start.open, &start.outputs);
  Substitute(pid, start.open, &start.outputs, proceed.mutable_proceed()->mutable_substitutes());
  Start& kept = starts_[number] = std::move(start);
  TellFileOutputs(model);
  early(proceed);
  if (why.reason == v1::Decision::REASON_NONE) why = ExplainNew(kept.key);
  kept.decision = NewDecision(number, v1::Decision::OUTCOME_RAN, why);
  kept.decision.set_fingerprint(kept.fingerprint);
  return proceed;
}

}  // namespace ocpwatch
