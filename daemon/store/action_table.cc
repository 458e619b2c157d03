#include "daemon/store/action_table.h"

#include <algorithm>
#include <functional>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"

namespace ocpwatch {

namespace {

// A record in memory takes so many times what it takes in the database. To ask protobuf takes five times as long as the
// rest of Put.
constexpr size_t kParsedRatio = 4;

bool HasPath(const v1::ActionRecord& record, const absl::flat_hash_set<std::string>& paths, ActionRows::Kind kind) {
  if (kind == ActionRows::Kind::kMakes) {
    return std::any_of(record.effects().begin(), record.effects().end(),
                       [&](const v1::Effect& effect) { return paths.contains(effect.path()); });
  }
  return std::any_of(
      record.observations().begin(), record.observations().end(),
      [&](const v1::Observation& observation) { return IsRead(observation) && paths.contains(observation.path()); });
}

template <typename Map, typename Key>
void EraseId(Map& map, const Key& key, uint64_t id) {
  const auto found = map.find(key);
  if (found == map.end()) return;
  std::erase(found->second, id);
  if (found->second.empty()) map.erase(found);
}

}  // namespace

absl::Status ActionTable::Load(DigestCache* digests) {
  return rows_->Load([this](ActionRows::Row row) { Add({.row = std::move(row), .written = true}); }, digests,
                     &counters_);
}

void ActionTable::Add(Entry entry) {
  const uint64_t id = entry.row.id;
  by_fingerprint_[entry.row.fingerprint].push_back(id);
  by_place_[entry.row.place].push_back(id);
  record_bytes_ += entry.row.bytes;
  next_id_ = std::max(next_id_, id + 1);
  entries_.emplace(id, std::move(entry));
}

int64_t ActionTable::counter(const std::string& name) const {
  const auto found = counters_.find(name);
  return found == counters_.end() ? 0 : found->second;
}

size_t ActionTable::ParsedBytes(const Entry& entry) { return entry.row.bytes * kParsedRatio; }

void ActionTable::Keep(Entry& entry, ActionPtr action) {
  entry.parsed = std::move(action);
  parsed_bytes_ += ParsedBytes(entry);
  recent_.push_front(entry.row.id);
  entry.recent = recent_.begin();
}

void ActionTable::DropParsed(Entry& entry) {
  if (entry.parsed == nullptr) return;
  parsed_bytes_ -= ParsedBytes(entry);
  recent_.erase(entry.recent);
  entry.parsed.reset();
}

void ActionTable::Evict() {
  while (parsed_bytes_ > kMaxParsedBytes && recent_.size() > 1) {
    Entry& oldest = entries_.at(recent_.back());
    if (!oldest.written) return;  // Until the next commit.
    DropParsed(oldest);
  }
}

ActionPtr ActionTable::Get(uint64_t id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return nullptr;
  Entry& entry = found->second;
  if (entry.parsed != nullptr) {
    recent_.splice(recent_.begin(), recent_, entry.recent);
    return entry.parsed;
  }
  auto action = std::make_shared<StoredAction>();
  action->id = id;
  action->last_used_unix_ns = entry.row.used_unix_ns;
  if (!rows_->Read(id, &action->record)) return nullptr;
  ActionPtr parsed = std::move(action);
  Keep(entry, parsed);
  Evict();
  return parsed;
}

std::vector<ActionPtr> ActionTable::Find(std::string_view fingerprint) {
  std::vector<ActionPtr> found;
  const auto ids = by_fingerprint_.find(absl::string_view(fingerprint.data(), fingerprint.size()));
  if (ids == by_fingerprint_.end()) return found;
  for (auto id = ids->second.rbegin(); id != ids->second.rend(); ++id) {
    if (ActionPtr action = Get(*id)) found.push_back(std::move(action));
  }
  return found;
}

std::vector<Candidate> ActionTable::Candidates(std::string_view fingerprint) const {
  std::vector<Candidate> candidates;
  const auto ids = by_fingerprint_.find(absl::string_view(fingerprint.data(), fingerprint.size()));
  if (ids == by_fingerprint_.end()) return candidates;
  for (auto id = ids->second.rbegin(); id != ids->second.rend(); ++id) {
    candidates.push_back({*id, entries_.at(*id).against});
  }
  return candidates;
}

void ActionTable::NoteMismatch(uint64_t id, const v1::Observation& observation) {
  const auto found = entries_.find(id);
  if (found != entries_.end()) found->second.against = std::make_shared<const v1::Observation>(observation);
}

std::vector<ActionPtr> ActionTable::FindSimilar(const v1::Fingerprint& key, size_t limit) {
  std::vector<ActionPtr> found;
  const auto ids = by_place_.find(ActionRows::HashOfPlace(key));
  if (ids == by_place_.end()) return found;
  for (auto id = ids->second.rbegin(); id != ids->second.rend() && found.size() < limit; ++id) {
    if (ActionPtr action = Get(*id)) found.push_back(std::move(action));
  }
  return found;
}

std::vector<uint64_t> ActionTable::PerhapsOf(const absl::flat_hash_set<std::string>& paths, ActionRows::Kind kind) {
  Ids ids = rows_->OfPaths(paths, kind);
  for (const auto& [id, entry] : entries_) {
    if (!entry.written) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end(), std::greater<>());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

ActionPtr ActionTable::GetIfOf(uint64_t id, const absl::flat_hash_set<std::string>& paths, ActionRows::Kind kind) {
  ActionPtr action = Get(id);
  return action != nullptr && HasPath(action->record, paths, kind) ? action : nullptr;
}

void ActionTable::Put(v1::ActionRecord record) {
  auto action = std::make_shared<StoredAction>();
  action->record = std::move(record);
  action->id = next_id_;
  action->last_used_unix_ns = absl::GetCurrentTimeNanos();
  const uint64_t inputs = ActionRows::HashOfInputs(action->record);
  Ids before;
  if (const auto found = by_fingerprint_.find(action->record.fingerprint()); found != by_fingerprint_.end()) {
    before = found->second;
  }
  size_t left = before.size();
  for (const uint64_t id : before) {
    Entry& old = entries_.at(id);
    if (left >= kMaxRecordsPerFingerprint || old.row.inputs == inputs) {
      Forget(id);
      --left;
    } else if (old.written) {
      DropParsed(old);
    }
  }
  changed_.insert(action->id);
  Add({.row = {.id = action->id,
               .fingerprint = action->record.fingerprint(),
               .place = ActionRows::HashOfPlace(action->record.key()),
               .inputs = inputs,
               .used_unix_ns = action->last_used_unix_ns,
               .bytes = action->record.ByteSizeLong()}});
  Keep(entries_.at(action->id), action);
  Evict();
}

void ActionTable::Use(uint64_t id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  found->second.row.used_unix_ns = absl::GetCurrentTimeNanos();
  changed_.insert(id);
}

void ActionTable::Forget(uint64_t id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  EraseId(by_fingerprint_, entry.row.fingerprint, id);
  EraseId(by_place_, entry.row.place, id);
  DropParsed(entry);
  record_bytes_ -= entry.row.bytes;
  changed_.erase(id);
  gone_.insert(id);
  entries_.erase(found);
}

bool ActionTable::ForgetUnused(uint64_t id, int64_t used_unix_ns) {
  const auto found = entries_.find(id);
  if (found != entries_.end() && found->second.row.used_unix_ns > used_unix_ns) return false;
  Forget(id);
  return true;
}

void ActionTable::ForgetAll() {
  Ids ids;
  for (const auto& [id, entry] : entries_) ids.push_back(id);
  for (const uint64_t id : ids) Forget(id);
}

ActionRows::Batch ActionTable::TakeBatch() {
  ActionRows::Batch batch;
  batch.counters = counters_;
  for (const uint64_t id : changed_) {
    const Entry& entry = entries_.at(id);
    if (entry.written) {
      batch.used.emplace_back(id, entry.row.used_unix_ns);
    } else {
      batch.added.push_back({entry.row, entry.parsed});
    }
  }
  batch.gone.assign(gone_.begin(), gone_.end());
  changed_.clear();
  gone_.clear();
  return batch;
}

void ActionTable::Written(const ActionRows::Batch& batch) {
  for (const ActionRows::Batch::New& added : batch.added) {
    const auto found = entries_.find(added.row.id);
    if (found == entries_.end()) continue;
    found->second.written = true;
    if (IsOld(found->second)) DropParsed(found->second);
  }
  Evict();
}

void ActionTable::PutBack(const ActionRows::Batch& batch) {
  for (const ActionRows::Batch::New& added : batch.added) {
    if (entries_.contains(added.row.id)) changed_.insert(added.row.id);
  }
  for (const auto& [id, used] : batch.used) {
    if (entries_.contains(id)) changed_.insert(id);
  }
  gone_.insert(batch.gone.begin(), batch.gone.end());
  // A disk that stays full must not fill the memory too: what can be neither written nor kept is lost.
  while (parsed_bytes_ > kMaxParsedBytes && recent_.size() > 1) {
    const uint64_t oldest = recent_.back();
    if (Entry& entry = entries_.at(oldest); entry.written) {
      DropParsed(entry);
    } else {
      Forget(oldest);
    }
  }
}

}  // namespace ocpwatch
