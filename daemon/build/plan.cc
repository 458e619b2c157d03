#include "daemon/build/plan.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"

namespace ocpwatch {
namespace {

// Nobody reads more, and each is looked at file by file.
constexpr size_t kMaxPlanned = 10'000;

// Used when `whole` ran or later, and all that it makes is made by `whole`. Others read the same files too.
bool TookPartIn(const StoredAction& whole, const absl::flat_hash_set<std::string>& made, const StoredAction& action) {
  const v1::ActionRecord& record = action.record;
  if (record.fingerprint() == whole.record.fingerprint()) return false;
  if (action.last_used_unix_ns < whole.record.created_unix_ns() - whole.record.duration_ns()) return false;
  return std::all_of(record.effects().begin(), record.effects().end(),
                     [&](const v1::Effect& effect) { return made.contains(effect.path()); });
}

// Why it cannot be reused as things are; none if one of its records holds. What it made may be there.
std::optional<Mismatch> WhyItRuns(Store* store, Present* present, const v1::ActionRecord& record) {
  std::optional<Mismatch> first;
  const auto records = store->Find(record.fingerprint());
  for (const auto& one : records) {
    std::optional<Mismatch> mismatch = present->FirstMismatch(one->record, /*whole=*/true, NoneAlike);
    if (!mismatch.has_value()) return std::nullopt;
    if (!first.has_value()) first = std::move(mismatch);
  }
  return first;
}

// One of its inputs that is among `paths`.
Mismatch ReadsOneOf(const v1::ActionRecord& record, const absl::flat_hash_set<std::string>& paths) {
  for (const v1::Observation& observation : record.observations()) {
    if (observation.content() && paths.contains(observation.path())) {
      return {v1::Decision::REASON_EDITED, observation.path(), "may be made anew"};
    }
  }
  return {};
}

}  // namespace

std::vector<PlannedCommand> PlanBelow(Store* store, const StoredAction& whole) {
  AbsentNames absent;
  Present present(store, &absent);
  const absl::flat_hash_set<std::string> made = OwnPaths(whole.record);
  const EffectsByPath effects = IndexEffects(whole.record);
  absl::flat_hash_set<std::string> paths;
  for (const v1::Observation& observation : whole.record.observations()) {
    const std::string& path = observation.path();
    if (const auto own = effects.find(path); own != effects.end() && present.IsFinal(*own->second, effects)) continue;
    if (present.Compare(observation, &made).has_value()) paths.insert(path);
  }
  std::vector<PlannedCommand> planned;
  absl::flat_hash_set<std::string> known;  // Fingerprints.
  absl::flat_hash_set<std::string> made_anew;
  for (bool changed = true; !paths.empty() && planned.size() < kMaxPlanned; changed = false) {
    const absl::flat_hash_set<std::string> now = std::exchange(paths, {});
    store->ForEachReader(now, [&](const StoredAction& action) {
      const v1::ActionRecord& record = action.record;
      if (!TookPartIn(whole, made, action) || known.contains(record.fingerprint())) return true;
      std::optional<Mismatch> why = WhyItRuns(store, &present, record);
      if (!why.has_value() && changed) return true;
      known.insert(record.fingerprint());
      planned.push_back({record.key(),
                         why.has_value() ? PlannedCommand::Outcome::kRuns : PlannedCommand::Outcome::kMayRun,
                         why.has_value() ? *std::move(why) : ReadsOneOf(record, now)});
      for (const v1::Effect& effect : record.effects()) {
        if (effect.type() == v1::FILE_REGULAR && made_anew.insert(effect.path()).second) paths.insert(effect.path());
      }
      return planned.size() < kMaxPlanned;
    });
  }
  return planned;
}

}  // namespace ocpwatch
