// The session's own command: does anything have to run at all?
#include <algorithm>
#include <optional>

#include "absl/functional/function_ref.h"
#include "daemon/build/process_state.h"
#include "daemon/build/recorder_impl.h"

namespace ocpwatch {

namespace {

constexpr size_t kMaxSimilar = 20;

// The record of a session's own command that `fits` says nothing against; else `why` not.
std::shared_ptr<const StoredAction> FirstThatFits(
    const std::vector<std::shared_ptr<const StoredAction>>& records,
    absl::FunctionRef<std::optional<Mismatch>(const v1::ActionRecord&, bool as_left)> fits, Mismatch* why) {
  // What began as things are now says more than what left them so: a build that had nothing to do prints other words
  // than the one that did it all. And what has failed has left its products halfway: what comes next is something else.
  bool told = false;  // Why the newest does not fit that could have left things so; failing that, the newest.
  for (const bool as_left : {false, true}) {
    for (const auto& action : records) {
      const bool once = action->record.exit_status() != 0 || action->record.first_only();
      if (as_left && once) continue;
      std::optional<Mismatch> mismatch = fits(action->record, as_left);
      if (!mismatch.has_value()) return action;
      if ((as_left && !told) || (once && why->reason == v1::Decision::REASON_NONE)) *why = *std::move(mismatch);
      told = told || as_left;
    }
  }
  return nullptr;
}

}  // namespace

v1::Fingerprint BuildRecorder::Impl::RootKey(std::vector<OpenDescriptor>* open) const {
  const v1::RunRequest::Start& start = setup_.start;
  v1::Fingerprint key;
  *key.mutable_argv() = start.argv();
  key.set_cwd(start.cwd());
  *key.mutable_environment() = start.environment();
  key.set_umask(start.umask());
  key.set_executable(start.program());
  *open = AfterExec(start.client_pid(), DescriptorsOf(start.client_pid()));
  NameNameless(start.client_pid(), open);
  key.mutable_attributes()->Assign(client_attributes_.begin(), client_attributes_.end());
  Describe(*open, &key);
  Settle(ignored_environment_, &key);
  return key;
}

std::optional<Mismatch> BuildRecorder::Impl::WhyNotWhole(Present* present, const v1::ActionRecord& record,
                                                         bool as_left) const {
  if (std::optional<Mismatch> mismatch = present->FirstMismatch(record, as_left, NoneAlike)) return mismatch;
  if (std::optional<Mismatch> mismatch = present->TouchedUnread(record, IndexEffects(record))) return mismatch;
  if (std::optional<Mismatch> mismatch = LostOutput(record)) return mismatch;
  return UsedByOthers(record);
}

std::shared_ptr<const StoredAction> BuildRecorder::Impl::TryWhole(Decisions* decisions) {
  Start start;
  start.since = intents_.Now();
  start.key = RootKey(&start.open);
  start.fingerprint = FingerprintOf(start.key);
  start.asked = true;
  for (const OpenDescriptor& input : start.open) {
    if (input.kind != OpenDescriptor::Kind::kFile || !input.readable()) continue;
    start.inputs.push_back({input.fd, input.offset, setup_.start.client_pid(), input.source_fd, input.dev, input.ino});
  }
  std::optional<Present> present(std::in_place, &store_, &absent_);
  bool whole = false;  // All that the hit made is there.
  const auto put_back = [&](const v1::ActionRecord& record, bool as_left) -> std::optional<Mismatch> {
    if (std::optional<Mismatch> mismatch = WhyNotWhole(&*present, record, as_left)) return mismatch;
    const auto& effects = record.effects();
    const EffectsByPath all = IndexEffects(record);
    const bool is_there = std::all_of(effects.begin(), effects.end(),
                                      [&](const v1::Effect& effect) { return present->IsFinal(effect, all); });
    whole = record.exit_status() == 0 && !effects.empty() && is_there;
    // Where it would have begun as it did, it would have made all that it made.
    const std::vector<bool> renewed =
        as_left ? present->MadeAnew(record, all)
                : std::vector<bool>(static_cast<size_t>(effects.size()), present->touched() || !is_there);
    bool changed = false;
    if (PutBack(record, renewed, &changed).ok()) return std::nullopt;
    present.emplace(&store_, &absent_);  // Something may have been put back.
    return Mismatch{v1::Decision::REASON_BLOB, "", "what it made could not be put back"};
  };
  Mismatch why;
  std::shared_ptr<const StoredAction> hit = FirstThatFits(store_.Find(start.fingerprint), put_back, &why);
  store_.NoteBuild(hit != nullptr);
  if (hit != nullptr) {
    store_.NoteHit(hit->id, hit->record.duration_ns());
    totals_.set_reused(totals_.reused() + std::max(1u, hit->record.commands()));
    totals_.set_saved_ns(totals_.saved_ns() + hit->record.duration_ns());
    decisions->push_back(ReusedDecision(1, *hit));
    if (whole) decisions->back().set_reason("all that it made is there");
    return hit;
  }
  if (!why.path.empty()) Suspect(why.path);
  if (why.reason == v1::Decision::REASON_NONE) why = ExplainNew(start.key);
  totals_.set_ran(totals_.ran() + 1);
  start.decision = NewDecision(1, v1::Decision::OUTCOME_RAN, why);
  start.decision.set_fingerprint(start.fingerprint);
  starts_[1] = std::move(start);
  return nullptr;
}

std::vector<PlannedCommand> BuildRecorder::Impl::Plan() {
  std::vector<OpenDescriptor> open;
  PlannedCommand own;
  own.key = RootKey(&open);
  const std::string fingerprint = FingerprintOf(own.key);
  auto records = store_.Find(fingerprint);
  // Who only asks often has the words go elsewhere.
  for (const auto& similar : store_.FindSimilar(own.key, kMaxSimilar)) {
    if (!records.empty()) break;
    v1::Fingerprint key = similar->record.key();
    *key.mutable_inherited() = own.key.inherited();
    if (FingerprintOf(key) == fingerprint) records = store_.Find(similar->record.fingerprint());
  }
  Present present(&store_, &absent_);
  const auto fits = [&](const v1::ActionRecord& record, bool as_left) {
    return WhyNotWhole(&present, record, as_left);
  };
  if (FirstThatFits(records, fits, &own.why) != nullptr) {
    own.outcome = PlannedCommand::Outcome::kReused;
    return {std::move(own)};
  }
  if (own.why.reason == v1::Decision::REASON_NONE) own.why = ExplainNew(own.key);
  std::vector<PlannedCommand> planned = {std::move(own)};
  if (records.empty()) return planned;
  for (PlannedCommand& below : PlanBelow(&store_, *records.front())) planned.push_back(std::move(below));
  return planned;
}

std::vector<v1::Substitute> BuildRecorder::Impl::PrepareCommand(std::shared_ptr<Relay> relay) {
  relay_ = std::move(relay);
  google::protobuf::RepeatedPtrField<v1::Substitute> substitutes;
  const auto start = starts_.find(1);
  if (start == starts_.end()) return {};
  start->second.outputs = GroupOutputs(start->second.open);
  // A file that the user's shell has opened is for all commands of the session: parts of it that one command alone
  // wrote could not be told apart. So it is captured like a pipe.
  for (OutputGroup& group : start->second.outputs) {
    if (group.kind == OpenDescriptor::Kind::kFile) group.kind = OpenDescriptor::Kind::kPipe;
  }
  Substitute(setup_.start.client_pid(), start->second.open, &start->second.outputs, &substitutes);
  return {substitutes.begin(), substitutes.end()};
}

}  // namespace ocpwatch
