// What each product is made from, as a make sees it: what a command read, of what whoever started it had looked at.
//
// It decides about times, and whether a make is at work at all (recorder_again.cc). Where a whole build need not run,
// and something has been touched or is gone, what a make would have made anew is as new as if it had been; all else
// keeps its time, for a product that is newer than it has a right to be hides an edit that was made before, and comes
// with its own time. What is not known here (a prerequisite that the recipe does not read) makes a product too old,
// never too new: a make would make it once more.
#include <algorithm>
#include <utility>

#include "daemon/build/recorder_impl.h"

namespace ocpwatch {

namespace {

// A file that each of many commands adds to would otherwise be made from more and more.
constexpr size_t kMaxMadeFrom = 1000;

}  // namespace

void BuildRecorder::Impl::AddMadeFrom(Scope* asker, PathId path, std::shared_ptr<const std::vector<PathId>> from) {
  const auto known = asker->changed.find(path);
  if (known == asker->changed.end()) return;
  if (const auto& before = known->second.made_from; before != nullptr && before != from) {
    if (before->size() > kMaxMadeFrom) return;
    // One after the other: `ar`, then `ranlib`. Or one below the other: gcc looks for what it has `as` make, too.
    auto both = std::make_shared<std::vector<PathId>>(*before);
    both->insert(both->end(), from->begin(), from->end());
    std::sort(both->begin(), both->end());
    both->erase(std::unique(both->begin(), both->end()), both->end());
    from = std::move(both);
  }
  for (Scope* above = asker; above != nullptr; above = above->parent) {
    const auto found = above->changed.find(path);
    if (found != above->changed.end()) found->second.made_from = from;
  }
}

void BuildRecorder::Impl::NoteMadeFrom(const Scope& scope) {
  if (scope.parent == nullptr) return;
  const Scope& asker = *scope.parent;
  std::shared_ptr<std::vector<PathId>> from;
  for (const auto& [path, change] : scope.changed) {
    if (!asker.looked.contains(path)) continue;
    if (from == nullptr) {
      from = std::make_shared<std::vector<PathId>>();
      for (const auto& [key, seen] : scope.seen) {
        const auto used = static_cast<PathId>(key >> 1);
        if ((seen.weight & kContent) != 0 && asker.looked.contains(used)) from->push_back(used);
      }
    }
    AddMadeFrom(scope.parent, path, from);
  }
}

void BuildRecorder::Impl::TakeMadeFrom(Scope* asker, const v1::ActionRecord& record, Trace* trace) {
  auto read = std::make_shared<std::vector<PathId>>();
  for (const v1::Observation& observation : record.observations()) {
    const PathId used = trace->Intern(observation.path());
    if (observation.content() && asker->looked.contains(used)) read->push_back(used);
  }
  for (const v1::Effect& effect : record.effects()) {
    auto from = std::make_shared<std::vector<PathId>>();
    // Of a damaged record the places may be anywhere.
    const auto take = [&](const auto& parts, const auto& places) {
      for (const uint32_t place : places) {
        if (place < static_cast<uint32_t>(parts.size())) {
          from->push_back(trace->Intern(parts[static_cast<int>(place)].path()));
        }
      }
    };
    take(record.observations(), effect.from_observations());
    take(record.effects(), effect.from_effects());
    const PathId path = trace->Intern(effect.path());
    if (!from->empty()) AddMadeFrom(asker, path, std::move(from));
    if (asker->looked.contains(path)) AddMadeFrom(asker, path, read);
  }
}

void BuildRecorder::Impl::TellMadeFrom(const Scope& scope, const Trace& trace, v1::ActionRecord* record) {
  absl::flat_hash_map<std::string_view, uint32_t> observations;
  for (int i = 0; i < record->observations_size(); ++i) {
    observations.try_emplace(record->observations(i).path(), static_cast<uint32_t>(i));
  }
  absl::flat_hash_map<std::string_view, uint32_t> effects;
  for (int i = 0; i < record->effects_size(); ++i) effects[record->effects(i).path()] = static_cast<uint32_t>(i);
  for (const auto& [path, change] : scope.changed) {
    const auto effect = effects.find(trace.Path(path));
    if (change.made_from == nullptr || effect == effects.end()) continue;
    v1::Effect& made = *record->mutable_effects(static_cast<int>(effect->second));
    for (const PathId used : *change.made_from) {
      if (const auto product = effects.find(trace.Path(used)); product != effects.end()) {
        made.add_from_effects(product->second);
      } else if (const auto input = observations.find(trace.Path(used)); input != observations.end()) {
        made.add_from_observations(input->second);
      }
    }
  }
}

}  // namespace ocpwatch
