#include "daemon/store/action_table.h"

#include <algorithm>
#include <cstring>
#include <ctime>

namespace ocpwatch {

namespace {

constexpr char kSchema[] =
    "CREATE TABLE IF NOT EXISTS actions(id INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL, place INTEGER NOT NULL,"
    "  used INTEGER NOT NULL, record BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS paths(path INTEGER NOT NULL, kind INTEGER NOT NULL, action INTEGER NOT NULL,"
    "  PRIMARY KEY(path, kind, action)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS paths_by_action ON paths(action);"
    "CREATE TABLE IF NOT EXISTS digests(path BLOB PRIMARY KEY, stamp BLOB NOT NULL, digest BLOB NOT NULL) WITHOUT "
    "ROWID;"
    "CREATE TABLE IF NOT EXISTS counters(name BLOB PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;";

constexpr int kMakes = 0;
constexpr int kReads = 1;

int64_t UnixNs() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// The first 63 bits of the SHA-256: SQLite's integers have a sign, and a clash only costs a look.
uint64_t HashOf(std::string_view bytes) {
  const Digest digest = DigestOf(bytes);
  uint64_t hash = 0;
  memcpy(&hash, digest.sha256.data(), sizeof hash);
  return hash >> 1;
}

uint64_t PlaceOf(const v1::Fingerprint& key) {
  std::string bytes = key.cwd();
  for (const std::string& argument : key.argv()) bytes += '\0' + argument;
  return HashOf(bytes);
}

bool SameInputs(const v1::ActionRecord& a, const v1::ActionRecord& b) {
  return std::equal(a.observations().begin(), a.observations().end(), b.observations().begin(), b.observations().end(),
                    [](const v1::Observation& left, const v1::Observation& right) {
                      return left.SerializeAsString() == right.SerializeAsString();
                    });
}

template <typename T>
std::string_view AsBytes(const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

}  // namespace

absl::StatusOr<std::unique_ptr<ActionTable>> ActionTable::Open(const std::string& path, DigestCache* digests) {
  absl::StatusOr<std::unique_ptr<Database>> database = Database::Open(path, kSchema);
  if (!database.ok()) return database.status();
  std::unique_ptr<ActionTable> table(new ActionTable(*std::move(database)));
  if (absl::Status status = table->LoadAll(digests); !status.ok()) return status;
  return table;
}

absl::Status ActionTable::LoadAll(DigestCache* digests) {
  Query actions(database_->raw(), "SELECT id, fingerprint, place, used FROM actions ORDER BY id");
  while (actions.Next()) {
    const auto id = static_cast<uint64_t>(actions.Integer(0));
    Entry entry;
    entry.fingerprint = std::string(actions.Blob(1));
    entry.place = static_cast<uint64_t>(actions.Integer(2));
    entry.used_unix_ns = actions.Integer(3);
    by_fingerprint_[entry.fingerprint].push_back(id);
    by_place_[entry.place].push_back(id);
    entries_.emplace(id, std::move(entry));
    next_id_ = std::max(next_id_, id + 1);
  }
  if (!actions.status().ok()) return actions.status();
  Query known(database_->raw(), "SELECT path, stamp, digest FROM digests");
  while (known.Next()) {
    DigestCache::Entry entry;
    if (known.Blob(1).size() != sizeof entry.stamp || known.Blob(2).size() != sizeof entry.digest) continue;
    memcpy(&entry.stamp, known.Blob(1).data(), sizeof entry.stamp);
    memcpy(&entry.digest, known.Blob(2).data(), sizeof entry.digest);
    digests->Restore(std::string(known.Blob(0)), entry);
  }
  if (!known.status().ok()) return known.status();
  Query counters(database_->raw(), "SELECT name, value FROM counters");
  while (counters.Next()) counters_[std::string(counters.Blob(0))] = counters.Integer(1);
  return counters.status();
}

int64_t ActionTable::counter(const std::string& name) const {
  const auto found = counters_.find(name);
  return found == counters_.end() ? 0 : found->second;
}

void ActionTable::Remember(uint64_t id) {
  parsed_.push_back(id);
  while (parsed_.size() > kMaxParsed) {
    const auto oldest = entries_.find(parsed_.front());
    if (oldest != entries_.end() && oldest->second.written) oldest->second.parsed.reset();
    parsed_.pop_front();
  }
}

ActionPtr ActionTable::Load(uint64_t id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return nullptr;
  Entry& entry = found->second;
  if (entry.parsed != nullptr) return entry.parsed;
  Query query(database_->raw(), "SELECT record FROM actions WHERE id = ?");
  query.Bind(1, static_cast<int64_t>(id));
  auto action = std::make_shared<StoredAction>();
  action->id = id;
  action->last_used_unix_ns = entry.used_unix_ns;
  if (!query.Next() || !action->record.ParseFromArray(query.Blob(0).data(), static_cast<int>(query.Blob(0).size()))) {
    return nullptr;
  }
  entry.parsed = std::move(action);
  Remember(id);
  return entry.parsed;
}

std::vector<ActionPtr> ActionTable::Find(std::string_view fingerprint) {
  std::vector<ActionPtr> found;
  const auto ids = by_fingerprint_.find(std::string(fingerprint));
  if (ids == by_fingerprint_.end()) return found;
  for (auto id = ids->second.rbegin(); id != ids->second.rend(); ++id) {
    if (ActionPtr action = Load(*id)) found.push_back(std::move(action));
  }
  return found;
}

std::vector<ActionPtr> ActionTable::FindSimilar(const v1::Fingerprint& key, size_t limit) {
  std::vector<ActionPtr> found;
  const auto ids = by_place_.find(PlaceOf(key));
  if (ids == by_place_.end()) return found;
  for (auto id = ids->second.rbegin(); id != ids->second.rend() && found.size() < limit; ++id) {
    if (ActionPtr action = Load(*id)) found.push_back(std::move(action));
  }
  return found;
}

std::vector<ActionPtr> ActionTable::OfPath(const std::string& path, bool made, size_t limit) {
  std::set<uint64_t, std::greater<>> ids;
  const uint64_t hash = HashOf(path);
  const auto& fresh = made ? fresh_made_ : fresh_read_;
  if (const auto found = fresh.find(hash); found != fresh.end()) ids.insert(found->second.begin(), found->second.end());
  Query query(database_->raw(), "SELECT action FROM paths WHERE path = ? AND kind = ?");
  query.Bind(1, static_cast<int64_t>(hash)).Bind(2, int64_t{made ? kMakes : kReads});
  while (query.Next()) ids.insert(static_cast<uint64_t>(query.Integer(0)));
  std::vector<ActionPtr> found;
  for (const uint64_t id : ids) {
    if (found.size() == limit) break;
    if (ActionPtr action = Load(id)) found.push_back(std::move(action));
  }
  return found;
}

void ActionTable::Put(v1::ActionRecord record) {
  auto action = std::make_shared<StoredAction>();
  action->record = std::move(record);
  action->id = next_id_++;
  action->last_used_unix_ns = UnixNs();
  std::vector<uint64_t> old = by_fingerprint_[action->record.fingerprint()];
  size_t left = old.size();
  for (const uint64_t id : old) {
    const ActionPtr before = Load(id);
    if (before == nullptr || left >= kMaxRecordsPerFingerprint || SameInputs(before->record, action->record)) {
      Forget(id);
      --left;
    }
  }
  Entry entry;
  entry.fingerprint = action->record.fingerprint();
  entry.place = PlaceOf(action->record.key());
  entry.used_unix_ns = action->last_used_unix_ns;
  entry.written = false;
  for (const v1::Effect& effect : action->record.effects()) fresh_made_[HashOf(effect.path())].push_back(action->id);
  for (const v1::Observation& observation : action->record.observations()) {
    if (observation.content()) fresh_read_[HashOf(observation.path())].push_back(action->id);
  }
  by_fingerprint_[entry.fingerprint].push_back(action->id);
  by_place_[entry.place].push_back(action->id);
  changed_.insert(action->id);
  const uint64_t id = action->id;
  entry.parsed = std::move(action);
  entries_.emplace(id, std::move(entry));
  Remember(id);
}

void ActionTable::Use(uint64_t id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  found->second.used_unix_ns = UnixNs();
  changed_.insert(id);
}

void ActionTable::Forget(uint64_t id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  std::erase(by_fingerprint_[found->second.fingerprint], id);
  std::erase(by_place_[found->second.place], id);
  changed_.erase(id);
  gone_.insert(id);
  entries_.erase(found);
}

absl::Status ActionTable::Flush(std::vector<std::pair<std::string, DigestCache::Entry>> digests) {
  if (absl::Status status = database_->Execute("BEGIN IMMEDIATE"); !status.ok()) return status;
  sqlite3* const raw = database_->raw();
  const absl::Status status = [&]() -> absl::Status {
    Query drop(raw, "DELETE FROM actions WHERE id = ?");
    Query drop_paths(raw, "DELETE FROM paths WHERE action = ?");
    for (const uint64_t id : gone_) {
      if (absl::Status done = drop.Bind(1, static_cast<int64_t>(id)).Run(); !done.ok()) return done;
      if (absl::Status done = drop_paths.Bind(1, static_cast<int64_t>(id)).Run(); !done.ok()) return done;
    }
    Query insert(raw, "INSERT INTO actions(id, fingerprint, place, used, record) VALUES(?, ?, ?, ?, ?)");
    Query touch(raw, "UPDATE actions SET used = ? WHERE id = ?");
    Query path(raw, "INSERT OR IGNORE INTO paths(path, kind, action) VALUES(?, ?, ?)");
    for (const uint64_t id : changed_) {
      const Entry& entry = entries_.at(id);
      const auto number = static_cast<int64_t>(id);
      if (entry.written) {
        if (absl::Status done = touch.Bind(1, entry.used_unix_ns).Bind(2, number).Run(); !done.ok()) return done;
        continue;
      }
      const v1::ActionRecord& record = entry.parsed->record;
      const std::string bytes = record.SerializeAsString();
      insert.Bind(1, number).Bind(2, entry.fingerprint).Bind(3, static_cast<int64_t>(entry.place));
      if (absl::Status done = insert.Bind(4, entry.used_unix_ns).Bind(5, bytes).Run(); !done.ok()) return done;
      const auto add = [&](const std::string& name, int kind) {
        return path.Bind(1, static_cast<int64_t>(HashOf(name))).Bind(2, int64_t{kind}).Bind(3, number).Run();
      };
      for (const v1::Effect& effect : record.effects()) {
        if (absl::Status done = add(effect.path(), kMakes); !done.ok()) return done;
      }
      for (const v1::Observation& observation : record.observations()) {
        if (!observation.content()) continue;
        if (absl::Status done = add(observation.path(), kReads); !done.ok()) return done;
      }
    }
    Query digest(raw, "INSERT OR REPLACE INTO digests(path, stamp, digest) VALUES(?, ?, ?)");
    for (const auto& [name, entry] : digests) {
      digest.Bind(1, std::string_view(name)).Bind(2, AsBytes(entry.stamp)).Bind(3, AsBytes(entry.digest));
      if (absl::Status done = digest.Run(); !done.ok()) return done;
    }
    Query counter(raw, "INSERT OR REPLACE INTO counters(name, value) VALUES(?, ?)");
    for (const auto& [name, value] : counters_) {
      if (absl::Status done = counter.Bind(1, std::string_view(name)).Bind(2, value).Run(); !done.ok()) return done;
    }
    return database_->Execute("COMMIT");
  }();
  if (!status.ok()) {
    database_->Execute("ROLLBACK").IgnoreError();
    return status;
  }
  for (const uint64_t id : changed_) entries_.at(id).written = true;
  changed_.clear();
  gone_.clear();
  fresh_made_.clear();
  fresh_read_.clear();
  return absl::OkStatus();
}

std::vector<std::pair<uint64_t, int64_t>> ActionTable::ByUse() const {
  std::vector<std::pair<uint64_t, int64_t>> all;
  all.reserve(entries_.size());
  for (const auto& [id, entry] : entries_) all.emplace_back(id, entry.used_unix_ns);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return all;
}

void ActionTable::Clear() {
  std::vector<uint64_t> ids;
  for (const auto& [id, entry] : entries_) ids.push_back(id);
  for (const uint64_t id : ids) Forget(id);
}

}  // namespace ocpwatch
