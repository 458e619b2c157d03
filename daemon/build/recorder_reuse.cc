// Whether a record can stand for a run, and what follows if it does.
#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "daemon/build/recorder_impl.h"
#include "daemon/ingest/ingest_target.h"

namespace ocpwatch {

namespace {

// A content that is larger is not searched for the names of temporary files, but taken to have one.
constexpr uint64_t kMaxSearched = uint64_t{64} << 20;

// Paths that are looked at first. After an edit of one source of lua a decision takes 0.2 ms instead of 0.6 by that.
constexpr size_t kMaxSuspects = 8;

}  // namespace

std::optional<Mismatch> BuildRecorder::Impl::LostOutput(const v1::ActionRecord& record) const {
  for (const v1::Output& output : record.outputs()) {
    // The process itself copies it to where it belongs.
    const absl::Status sound = store_.CheckBlob(FromProto(output.digest()));
    if (absl::IsDataLoss(sound))
      return Mismatch{v1::Decision::REASON_BLOB, "", "what it wrote is damaged in the store"};
    if (!sound.ok()) return Mismatch{v1::Decision::REASON_BLOB, "", "what it wrote is not in the store any more"};
  }
  return std::nullopt;
}

std::optional<Mismatch> BuildRecorder::Impl::UsedByOthers(const v1::ActionRecord& record) const {
  if (!intents_.AnyOthers(session_)) return std::nullopt;
  const auto find = [&](const auto& parts) -> std::optional<Mismatch> {
    for (const auto& part : parts) {
      if (!intents_.ByOthers(session_, part.path(), intents_.Now())) continue;
      return Mismatch{v1::Decision::REASON_HAZARD, part.path(), "is being written by another session"};
    }
    return std::nullopt;
  };
  std::optional<Mismatch> mismatch = find(record.effects());
  return mismatch.has_value() ? mismatch : find(record.observations());
}

absl::Status BuildRecorder::Impl::PutBack(const v1::ActionRecord& record, const std::vector<bool>& renewed,
                                          bool* changed) {
  for (const v1::Effect& effect : record.effects()) intents_.Begin(session_, effect.path());
  absl::Status status = Restore(record, renewed, &store_, changed);
  for (const v1::Effect& effect : record.effects()) intents_.End(session_, effect.path());
  return status;
}

bool BuildRecorder::Impl::MentionsTemporary(const StoredAction& action) {
  if (action.record.temporaries().empty()) return false;
  const auto [known, fresh] = mentions_.try_emplace(action.id, false);
  const auto mentions = [&](const v1::Digest& digest) {
    if (digest.size() == 0) return false;
    if (digest.size() > kMaxSearched) return true;
    const absl::StatusOr<std::string> content = store_.ReadBlob(FromProto(digest));
    return !content.ok() || ocpwatch::MentionsTemporary(action.record, *content);
  };
  if (fresh) {
    for (const v1::Effect& effect : action.record.effects()) known->second = known->second || mentions(effect.digest());
    for (const v1::Output& output : action.record.outputs()) known->second = known->second || mentions(output.digest());
  }
  return known->second;
}

std::optional<Mismatch> BuildRecorder::Impl::HeldOpen(const Scope& parent, const v1::ActionRecord& record,
                                                      uint32_t number, Present* present, FollowedModel model) {
  if (record.effects().empty()) return std::nullopt;
  absl::flat_hash_map<PathId, int32_t> held;  // By whom.
  for (const Process* process : model.tracker.processes().InOrder()) {
    if (process->ended || process->number == number) continue;
    process->descriptors.ForEach([&](int32_t, const Descriptor& open) {
      if (open.path != kNoPath && !open.directory) held.emplace(open.path, process->pid);
    });
  }
  for (const v1::Effect& effect : record.effects()) {
    const FileState& state = present->State(effect.path(), /*nofollow=*/true);
    if (state.type != v1::FILE_REGULAR) continue;
    const auto holder = held.find(model.trace.Intern(effect.path()));
    bool is_held = holder != held.end() && PidRuns(holder->second);
    for (const Scope* above = &parent; above != nullptr && !is_held; above = above->parent) {
      is_held = std::any_of(above->start.open.begin(), above->start.open.end(), [&](const OpenDescriptor& open) {
        return open.kind == OpenDescriptor::Kind::kFile && open.dev == state.stamp.dev && open.ino == state.stamp.ino;
      });
    }
    if (is_held) return Mismatch{v1::Decision::REASON_HAZARD, effect.path(), "is open in another command"};
  }
  return std::nullopt;
}

void BuildRecorder::Impl::Suspect(const std::string& path) {
  if (std::find(suspects_.begin(), suspects_.end(), path) != suspects_.end()) return;
  suspects_.insert(suspects_.begin(), path);
  if (suspects_.size() > kMaxSuspects) suspects_.pop_back();
}

std::optional<Mismatch> BuildRecorder::Impl::WritesToInput(const v1::ActionRecord& record,
                                                           const std::vector<OpenDescriptor>& open, Present* present) {
  for (const OpenDescriptor& output : open) {
    if (output.kind != OpenDescriptor::Kind::kFile || !output.writable()) continue;
    for (const v1::Observation& observation : record.observations()) {
      if (!observation.content() || observation.type() != v1::FILE_REGULAR) continue;
      const FileStamp& stamp = present->State(observation.path(), observation.nofollow()).stamp;
      if (stamp.dev != output.dev || stamp.ino != output.ino) continue;
      return Mismatch{v1::Decision::REASON_OTHER, observation.path(), "is where its output goes"};
    }
  }
  return std::nullopt;
}

BuildRecorder::Impl::Reuse BuildRecorder::Impl::TryReuse(Scope* parent, uint32_t number, size_t place,
                                                         const std::vector<OpenDescriptor>& open,
                                                         CandidateRecords* candidates, std::optional<Present>* states,
                                                         Mismatch* why, FollowedModel model,
                                                         absl::FunctionRef<void()> done) {
  const StoredAction& action = *candidates->Get(place);
  const v1::ActionRecord& record = action.record;
  Trace& trace = model.trace;
  Present& present = **states;
  std::optional<Mismatch> mismatch = present.MismatchAmong(record, suspects_);
  if (!mismatch.has_value()) {
    mismatch = present.FirstMismatch(record, /*whole=*/false,
                                     [&](const std::string& path) { return candidates->Alike().contains(path); });
  }
  if (mismatch.has_value()) {
    Suspect(mismatch->path);
    candidates->NoteMismatch(place, mismatch->path, &present);
    *why = *std::move(mismatch);
    return Reuse::kNot;
  }
  if (mismatch = WritesToInput(record, open, &present); mismatch.has_value()) {
    *why = *std::move(mismatch);
    return Reuse::kNot;
  }
  if (mismatch = LostOutput(record); mismatch.has_value()) {
    *why = *std::move(mismatch);
    return Reuse::kNot;
  }
  if (MentionsTemporary(action)) {
    *why = {v1::Decision::REASON_OTHER, "", "left something with the name of a temporary file in it"};
    return Reuse::kNot;
  }
  // Nobody who runs beside it may be at work on what it reads or writes.
  std::vector<const Scope*> beside;
  for (const auto& [command, other] : scopes_) {
    const bool writes = !other->changed.empty() || !other->about_to_write.empty();
    if (writes && other.get() != parent && !other->IsAbove(*parent)) beside.push_back(other.get());
  }
  const auto busy = [&](PathId path) {
    return std::any_of(beside.begin(), beside.end(), [path](const Scope* other) { return other->Writes(path); });
  };
  for (const v1::Effect& effect : record.effects()) {
    if (!busy(trace.Intern(effect.path()))) continue;
    *why = {v1::Decision::REASON_HAZARD, effect.path(), "is being written by another command"};
    return Reuse::kNot;
  }
  std::vector<PathId> observed;  // The path of each observation.
  observed.reserve(static_cast<size_t>(record.observations_size()));
  for (const v1::Observation& observation : record.observations()) {
    observed.push_back(trace.Intern(observation.path()));
    if (!busy(observed.back())) continue;
    *why = {v1::Decision::REASON_HAZARD, observation.path(), "is being written by another command"};
    return Reuse::kNot;
  }
  if (mismatch = HeldOpen(*parent, record, number, &present, model); mismatch.has_value()) {
    *why = *std::move(mismatch);
    return Reuse::kNot;
  }
  if (mismatch = UsedByOthers(record); mismatch.has_value()) {
    *why = *std::move(mismatch);
    return Reuse::kBusy;
  }
  KeepEnded(model, nullptr);
  const bool carries = record.commands() > 1 || TellsTimes(record.key().executable()) ||
                       std::any_of(record.effects().begin(), record.effects().end(),
                                   [](const v1::Effect& effect) { return effect.times_set(); });
  absl::flat_hash_set<std::string> remade;        // What it replaces or removes, and looked at before only for the age.
  absl::flat_hash_map<uint32_t, uint32_t> agers;  // In the record -> here. 0, itself, is one where it is alone.
  const auto ager_of = [&](const v1::Observation& observation) -> uint32_t {
    if (!observation.age() || (observation.aged_by() == 0 && record.commands() > 1)) return 0;
    const auto [known, fresh] = agers.try_emplace(observation.aged_by(), agers_ + 1);
    if (fresh) ++agers_;
    return known->second;
  };
  // What it would have learnt, those above have learnt: of what was there before anything is put back.
  std::vector<Seen> learnt;
  learnt.reserve(observed.size());
  for (const v1::Observation& observation : record.observations()) {
    const PathId path = observed[learnt.size()];
    const FileState& state = present.State(observation.path(), observation.nofollow());
    Seen& seen = learnt.emplace_back();
    seen.type = state.type;
    seen.stamp = state.stamp;
    seen.error = state.error;
    seen.target = observation.target();
    seen.replaced = observation.replaced();
    if (observation.content()) seen.weight |= kContent;
    if (observation.status()) seen.weight |= kStatus;
    if (observation.mode_counts()) seen.weight |= kMode;
    if (observation.times()) seen.weight |= kTimes;
    if (carries && (observation.times() || observation.age())) seen.CountTimesBelow(ager_of(observation));
    if (observation.age()) remade.insert({observation.path(), RealPath(observation.path())});
    if (state.type == v1::FILE_REGULAR) {
      seen.version = VersionOf(path, state.stamp, trace);
      if (!seen.version->digest.has_value() && observation.content()) {
        seen.version->digest = FromProto(observation.digest());
      }
    }
    if (observation.content()) NoteDraftRead(parent, /*reader=*/0, path, state, trace);
    if (observation.listing()) {
      seen.weight |= kListing;
      if (observation.lists_all()) seen.weight |= kListsAll;
      seen.listing = std::make_shared<const Listing>(List(observation.path()));
      seen.without.assign(observation.without().begin(), observation.without().end());
    }
  }
  const auto learn = [&] {
    for (size_t i = 0; i < learnt.size(); ++i) {
      ObserveUp(parent, observed[i], record.observations(static_cast<int>(i)).nofollow(), std::move(learnt[i]), trace);
    }
  };
  bool made_links = false;  // That it may go through, or replace.
  for (const Scope* above = parent; above != nullptr; above = above->parent) {
    made_links = made_links || !above->made_links.empty();
  }
  if (made_links) learn();
  for (const v1::Effect& effect : record.effects()) {
    const FileState state = StateOf(effect.path(), /*nofollow=*/true);
    SettleReaders(state);
    EndDraft(trace.Intern(effect.path()), state, effect.type() == v1::FILE_ABSENT, trace);
  }
  bool changed = false;
  if (const absl::Status status =
          PutBack(record, std::vector<bool>(static_cast<size_t>(record.effects_size()), true), &changed);
      !status.ok()) {
    if (absl::IsDataLoss(status) || absl::IsNotFound(status)) store_.Forget(action.id);
    states->emplace(&store_, &absent_);  // Something may have been put back.
    if (changed) {
      TaintUp(
          parent, v1::Decision::REASON_BLOB,
          absl::StrCat("what a command below makes could be put back in part only: ", std::string(status.message())));
    }
    *why = {v1::Decision::REASON_BLOB, "",
            absl::StrCat("what it made could not be put back: ", std::string(status.message()))};
    return Reuse::kNot;
  }
  done();
  if (!made_links) learn();
  for (const v1::Effect& effect : record.effects()) {
    Change change;
    change.whole = remade.contains(effect.path());
    change.mode_set = effect.mode_set();
    change.times_set = effect.times_set();
    if (!effect.times_from().empty()) change.moved_from = trace.Intern(effect.times_from());
    change.in_place = effect.in_place();
    if (!effect.mode_set()) change.made_mode = effect.mode();
    change.made_anew = effect.type() == v1::FILE_REGULAR && !effect.in_place();
    change.is_directory = effect.type() == v1::FILE_DIRECTORY;
    change.is_link = effect.type() == v1::FILE_SYMLINK;
    if (!effect.link_to().empty()) change.linked_from = trace.Intern(effect.link_to());
    change.asked = effect.asked();
    change.unrepeatable = effect.unrepeatable();
    TakeChange(parent, trace.Intern(effect.path()), change, /*writer=*/nullptr, &trace);
  }
  for (size_t i = 0; i < observed.size(); ++i) {
    const v1::Observation& observation = record.observations(static_cast<int>(i));
    if (IsOnlyALook(observation) && !observation.replaced()) NoteLook(parent, observed[i], 0);
  }
  TakeMadeFrom(parent, record, &trace);
  if (record.first_only() || LeavesWhatItLookedFor(record, parent, &trace)) {
    for (Scope* above = parent; above != nullptr; above = above->parent) above->first_only = true;
  }
  return Reuse::kDone;
}

}  // namespace ocpwatch
