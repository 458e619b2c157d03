// A command has ended: what follows for those above it, and what has to be taken at once. The rest: recorder_keep.cc.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "daemon/build/process_state.h"
#include "daemon/build/recorder_impl.h"
#include "daemon/ingest/ingest_target.h"

namespace ocpwatch {

bool BuildRecorder::Impl::AnyLives(const Scope& scope, FollowedModel model) const {
  const auto lives = [&](uint32_t number) {
    LiveProcess process;
    return model.tracker.FindLive(number, &process) && process.pid != 0 && PidRuns(process.pid);
  };
  for (const uint32_t fork : scope.forks) {
    if (lives(fork)) return true;
  }
  return std::any_of(scope.children.begin(), scope.children.end(),
                     [&](const Scope* child) { return lives(child->process) || AnyLives(*child, model); });
}

Decisions BuildRecorder::Impl::OnProcessGone(uint32_t process, FollowedModel model) {
  Decisions decisions;
  if (const auto forked = forked_.find(process); forked != forked_.end()) {
    forked->second->forks.erase(process);
    forked_.erase(forked);
  }
  ForgetStart(process);
  // One process may have executed several programs, one after the other: the last is the innermost.
  std::vector<Scope*> ended;
  for (const auto& [command, scope] : scopes_) {
    if (scope->process == process) ended.push_back(scope.get());
  }
  std::sort(ended.begin(), ended.end(), [](const Scope* a, const Scope* b) { return a->command > b->command; });
  for (Scope* scope : ended) End(scope, model, &decisions);
  TellFileOutputs(model);
  return decisions;
}

void BuildRecorder::Impl::End(Scope* scope, FollowedModel model, Decisions* decisions) {
  // Children that nobody waited for, and that have ended all the same.
  std::vector<Scope*> children(scope->children.begin(), scope->children.end());
  std::sort(children.begin(), children.end(), [](const Scope* a, const Scope* b) { return a->command > b->command; });
  if (AnyLives(*scope, model)) {
    TaintUp(scope->parent, v1::Decision::REASON_OUTLIVED, "a process that it started went on after the end");
    scope->Taint(v1::Decision::REASON_OUTLIVED, "a process that it started went on after the end");
  }
  for (Scope* child : children) {
    if (scope->taint == v1::Decision::REASON_OUTLIVED) {
      child->Taint(v1::Decision::REASON_OUTLIVED, "it went on after the end of what started it");
    }
    End(child, model, decisions);
  }

  TellDecision(scope, decisions);
  v1::Decision decision;
  decision.set_process(scope->process);
  decision.set_command(scope->command);
  decision.set_time_ns(model.trace.Find(scope->command)->end_ns);
  decision.set_outcome(v1::Decision::OUTCOME_NOT_REUSABLE);
  if (LeftWhatItLookedFor(*scope, model.trace) || AskedOfNoInput(*scope, model.trace)) {
    for (Scope* above = scope; above != nullptr; above = above->parent) above->first_only = true;
  }
  CarryListings(scope);
  NoteMadeFrom(*scope);
  v1::ActionRecord record;
  BeginRecord(scope, model, &record);
  for (const PathId path : scope->temporaries) {
    if (scope->parent == nullptr || StateOf(model.trace.Path(path), /*nofollow=*/true).type == v1::FILE_ABSENT)
      continue;
    scope->parent->temporaries.push_back(path);
  }
  for (const uint32_t fork : scope->forks) forked_.erase(fork);
  if (scope->parent != nullptr) scope->parent->children.erase(scope);
  const bool last = scope->parent == nullptr;
  const auto own = scopes_.find(scope->command);
  KeepLater({std::move(own->second), std::move(record), std::move(decision), {}}, model);
  scopes_.erase(own);
  if (last) KeepEnded(model, decisions);
}

bool TellsTimes(std::string_view executable) {
  constexpr std::string_view kPrograms[] = {"[",  "bsdtar", "cp",    "cpio", "date", "find", "gzip",  "ls",
                                            "mv", "pigz",   "rsync", "stat", "tar",  "test", "unzip", "zip"};
  const std::string_view name = executable.substr(executable.rfind('/') + 1);
  return std::find(std::begin(kPrograms), std::end(kPrograms), name) != std::end(kPrograms);
}

void BuildRecorder::Impl::CarryTimes(const Scope& scope, const std::string& executable) {
  if (scope.commands > 1) return;
  const bool sets = std::any_of(scope.changed.begin(), scope.changed.end(),
                                [](const auto& change) { return change.second.times_set; });
  if (!sets && !TellsTimes(executable)) return;
  const uint32_t ager = ++agers_;
  for (const auto& [key, value] : scope.seen) {
    if ((value.weight & kTimes) == 0 || value.type != v1::FILE_REGULAR) continue;
    const auto change = scope.changed.find(static_cast<PathId>(key >> 1));
    const bool replaced = change != scope.changed.end() && change->second.whole;
    for (Scope* above = scope.parent; above != nullptr; above = above->parent) {
      if (above->IsTainted()) continue;
      const auto found = above->seen.find(key);
      if (found == above->seen.end()) break;
      if (found->second.stamp == value.stamp) found->second.CountTimesBelow(replaced ? ager : 0);
    }
  }
}

void BuildRecorder::Impl::CarryListings(Scope* scope) {
  if (scope->commands > 1) return;
  for (const auto& [key, value] : scope->seen) {
    if (value.listing == nullptr) continue;
    for (Scope* above = scope; above != nullptr; above = above->parent) {
      const auto found = above->seen.find(key);
      if (found != above->seen.end()) found->second.weight |= kListsAll;
    }
  }
}

void BuildRecorder::Impl::CheckInputs(Scope* scope, v1::ActionRecord* record) {
  for (const SharedInput& input : scope->start.inputs) {
    if (!input.used) continue;
    if (scope->parent == nullptr && input.fd == STDIN_FILENO) {
      const std::optional<uint64_t> now = OffsetOf(input.holder, input.holder_fd, input.dev, input.ino);
      if (now.has_value()) record->set_input_offset(*now);
      continue;
    }
    scope->Taint(v1::Decision::REASON_TERMINAL,
                 absl::StrCat("it read from a file that what started it reads on from (descriptor ", input.fd, ")"));
  }
}

void BuildRecorder::Impl::BeginRecord(Scope* scope, FollowedModel model, v1::ActionRecord* record) {
  // The program that its process ended as says how it ended.
  const Command* last = model.trace.Find(scope->command);
  const Process* const process = model.tracker.processes().Find(scope->process);
  if (last->end == v1::END_EXEC && process != nullptr) last = model.trace.Find(process->command);
  AddOutputs(scope, model, record);
  CarryTimes(*scope, model.trace.Find(scope->command)->executable);
  CheckInputs(scope, record);
  if (last == nullptr || last->end != v1::END_EXIT) {
    const bool signal = last != nullptr && last->end == v1::END_SIGNAL;
    TaintUp(scope, signal ? v1::Decision::REASON_SIGNAL : v1::Decision::REASON_UNSEEN,
            signal ? absl::StrCat("it was ended by signal ", last->end_value) : "it is not known how it ended");
  }
  if (model.trace.Find(scope->command)->opaque != v1::OPAQUE_NONE) {
    TaintUp(scope, v1::Decision::REASON_OPAQUE, "it could not be observed in full");
  }
  if (scope->IsTainted()) return;
  record->set_exit_status(last->end_value);
  record->set_duration_ns(static_cast<int64_t>(last->end_ns - scope->start_ns));
}

}  // namespace ocpwatch
