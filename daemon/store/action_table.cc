#include "daemon/store/action_table.h"

#include <algorithm>
#include <functional>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"

namespace ocpwatch {

namespace {

bool SameInputs(const v1::ActionRecord& a, const v1::ActionRecord& b) {
  return std::equal(a.observations().begin(), a.observations().end(), b.observations().begin(), b.observations().end(),
                    [](const v1::Observation& left, const v1::Observation& right) {
                      return left.SerializeAsString() == right.SerializeAsString();
                    });
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

void ActionTable::Keep(Entry& entry, ActionPtr action) {
  entry.parsed_bytes = action->record.SpaceUsedLong();
  entry.parsed = std::move(action);
  parsed_bytes_ += entry.parsed_bytes;
  recent_.push_front(entry.row.id);
  entry.recent = recent_.begin();
}

void ActionTable::DropParsed(Entry& entry) {
  if (entry.parsed == nullptr) return;
  parsed_bytes_ -= entry.parsed_bytes;
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

std::vector<ActionPtr> ActionTable::FindSimilar(const v1::Fingerprint& key, size_t limit) {
  std::vector<ActionPtr> found;
  const auto ids = by_place_.find(ActionRows::HashOfPlace(key));
  if (ids == by_place_.end()) return found;
  for (auto id = ids->second.rbegin(); id != ids->second.rend() && found.size() < limit; ++id) {
    if (ActionPtr action = Get(*id)) found.push_back(std::move(action));
  }
  return found;
}

std::vector<ActionPtr> ActionTable::OfPath(const std::string& path, ActionRows::Kind kind, size_t limit) {
  const uint64_t hash = ActionRows::HashOfPath(path);
  const auto& fresh = kind == ActionRows::Kind::kMakes ? fresh_made_ : fresh_read_;
  const Ids written = rows_->OfPath(hash, kind);
  std::set<uint64_t, std::greater<>> ids(written.begin(), written.end());
  if (const auto found = fresh.find(hash); found != fresh.end()) ids.insert(found->second.begin(), found->second.end());
  std::vector<ActionPtr> found;
  for (const uint64_t id : ids) {
    if (found.size() == limit) break;
    if (ActionPtr action = Get(id)) found.push_back(std::move(action));
  }
  return found;
}

void ActionTable::Put(v1::ActionRecord record) {
  auto action = std::make_shared<StoredAction>();
  action->record = std::move(record);
  action->id = next_id_;
  action->last_used_unix_ns = absl::GetCurrentTimeNanos();
  Ids before;
  if (const auto found = by_fingerprint_.find(action->record.fingerprint()); found != by_fingerprint_.end()) {
    before = found->second;
  }
  size_t left = before.size();
  for (const uint64_t id : before) {
    const ActionPtr old = Get(id);
    if (old == nullptr || left >= kMaxRecordsPerFingerprint || SameInputs(old->record, action->record)) {
      Forget(id);
      --left;
    }
  }
  for (const v1::Effect& effect : action->record.effects()) {
    fresh_made_[ActionRows::HashOfPath(effect.path())].push_back(action->id);
  }
  for (const v1::Observation& observation : action->record.observations()) {
    if (IsRead(observation)) fresh_read_[ActionRows::HashOfPath(observation.path())].push_back(action->id);
  }
  changed_.insert(action->id);
  Add({.row = {.id = action->id,
               .fingerprint = action->record.fingerprint(),
               .place = ActionRows::HashOfPlace(action->record.key()),
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
  batch.next_id = next_id_;
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
    if (found != entries_.end()) found->second.written = true;
  }
  for (auto* const fresh : {&fresh_made_, &fresh_read_}) {
    absl::erase_if(*fresh, [&](auto& ids) {
      std::erase_if(ids.second, [&](uint64_t id) { return id < batch.next_id; });
      return ids.second.empty();
    });
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
