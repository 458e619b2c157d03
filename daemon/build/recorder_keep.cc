// What a command was becomes a record: once there is nothing else to do, so that nobody waits for it.
//
// At the end of each command of a compiler its products are copied to the store, its inputs are hashed and its record
// is made: 0.5 to 1 ms, for which the next one waited if that was done before its call was answered. With one job it is
// done in the first milliseconds of the next one's life instead: in a first build of lua the commands wait 75 ms for
// answers in all, not 105, of 5.6 s. In between nothing may change that the record tells:
//
//   Who is about to change what an ended command has left waits until its record is made, as does who is about to
//   change a link, a directory or a file with other names, and who starts the same again or puts something back.
//   What was read is hashed before anybody changes it in any case: SettleReaders.
//   What has another state than at the end, by whatever nobody could announce, is not kept.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/build/recorder_impl.h"

namespace ocpwatch {

namespace {

// Where more are left, because something is always to be done, they do not wait for its end.
constexpr size_t kMaxEnded = 32;

}  // namespace

void BuildRecorder::Impl::KeepLater(Ended ended, FollowedModel model) {
  if (ended.scope->start.asked && !ended.scope->IsTainted()) {
    for (const auto& [path, change] : ended.scope->changed) {
      ended.left.emplace(path, StateOf(model.trace.Path(path), /*nofollow=*/true));
    }
  }
  ended_.push_back(std::move(ended));
  if (ended_.size() > kMaxEnded) KeepFirst(model);
}

void BuildRecorder::Impl::KeepFirst(FollowedModel model) {
  Ended ended = std::move(ended_.front());
  ended_.pop_front();
  Scope* const scope = ended.scope.get();
  v1::Decision& decision = ended.decision;
  if (scope->start.asked) {
    if (FinishRecord(scope, ended.left, model.trace, &ended.record)) {
      decision.set_fingerprint(ended.record.fingerprint());
      if (const absl::Status status = store_.Put(std::move(ended.record)); status.ok()) {
        decision.set_outcome(v1::Decision::OUTCOME_KEPT);
        for (const std::string& path : scope->ignored) decision.add_ignored(path);
      } else {
        scope->Taint(v1::Decision::REASON_BLOB,
                     absl::StrCat("it could not be stored: ", std::string(status.message())));
      }
    }
    if (decision.outcome() == v1::Decision::OUTCOME_NOT_REUSABLE) {
      totals_.set_not_reusable(totals_.not_reusable() + 1);
      decision.set_why(scope->taint);
      decision.set_reason(scope->taint_text);
      decision.set_path(scope->taint_path);
    }
    kept_.push_back(std::move(decision));
  }
  for (const PathId path : scope->intended) intents_.End(session_, model.trace.Path(path));
}

void BuildRecorder::Impl::KeepEnded(FollowedModel model, Decisions* decisions) {
  while (!ended_.empty()) KeepFirst(model);
  if (decisions == nullptr) return;
  decisions->insert(decisions->end(), std::make_move_iterator(kept_.begin()), std::make_move_iterator(kept_.end()));
  kept_.clear();
}

bool BuildRecorder::Impl::OnIdle(FollowedModel model, Decisions* decisions) {
  if (!ended_.empty()) KeepFirst(model);
  *decisions = std::exchange(kept_, {});
  return !ended_.empty() || !decisions->empty();
}

void BuildRecorder::Impl::KeepBefore(PathId path, const FileState& state, FollowedModel model) {
  const bool by_another_name = state.type == v1::FILE_SYMLINK || state.type == v1::FILE_DIRECTORY || state.links > 1;
  const bool left = std::any_of(ended_.begin(), ended_.end(),
                                [&](const Ended& ended) { return ended.scope->changed.contains(path); });
  if (by_another_name || left) KeepEnded(model, nullptr);
}

bool BuildRecorder::Impl::HasEnded(const std::string& fingerprint) const {
  return std::any_of(ended_.begin(), ended_.end(),
                     [&](const Ended& ended) { return ended.scope->start.fingerprint == fingerprint; });
}

bool BuildRecorder::Impl::FinishRecord(Scope* scope, const absl::flat_hash_map<PathId, FileState>& left, Trace& trace,
                                       v1::ActionRecord* record) {
  if (scope->IsTainted()) return false;
  AddEffects(scope, left, trace, record);
  AddObservations(scope, trace, record);
  TellMadeFrom(*scope, trace, record);
  CheckOtherSessions(scope, trace);
  if (scope->IsTainted()) return false;
  record->set_first_only(scope->first_only || IsFirstOnly(*scope, *record, &trace));
  if (!scope->start.temporaries.Canonicalise(record)) {
    scope->Taint(v1::Decision::REASON_OTHER, "the name of a temporary file is a part of the name of another");
    return false;
  }
  record->set_fingerprint(scope->start.fingerprint);
  *record->mutable_key() = std::move(scope->start.key);
  record->set_commands(scope->commands);
  record->set_created_unix_ns(absl::GetCurrentTimeNanos());
  record->set_session(setup_.header.id());
  for (const std::string& path : scope->ignored) record->add_ignored(path);
  return true;
}

void BuildRecorder::Impl::CheckOtherSessions(Scope* scope, const Trace& trace) {
  if (!intents_.AnyOthers(session_)) return;
  const auto check = [&](const std::string& path) {
    if (!intents_.ByOthers(session_, path, scope->since)) return;
    scope->Taint(v1::Decision::REASON_HAZARD, "another session wrote to a file that it used", path);
  };
  for (const auto& [path, change] : scope->changed) check(trace.Path(path));
  for (const auto& [key, seen] : scope->seen) check(trace.Path(static_cast<PathId>(key >> 1)));
  for (const OutputGroup& group : scope->start.outputs) {
    if (group.kind == OpenDescriptor::Kind::kFile) check(group.path);
  }
}

}  // namespace ocpwatch
