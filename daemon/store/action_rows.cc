#include "daemon/store/action_rows.h"

#include <cstring>
#include <type_traits>

namespace ocpwatch {

namespace {

constexpr char kSchema[] =
    "CREATE TABLE IF NOT EXISTS actions(id INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL, place INTEGER NOT NULL,"
    "  inputs INTEGER NOT NULL, used INTEGER NOT NULL, record BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS paths(action INTEGER PRIMARY KEY, makes BLOB NOT NULL, reads BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS digests(path BLOB PRIMARY KEY, stamp BLOB NOT NULL, digest BLOB NOT NULL) WITHOUT "
    "ROWID;"
    "CREATE TABLE IF NOT EXISTS counters(name BLOB PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;";

// Fewer free pages (of 4 KB) are soon used again.
constexpr int64_t kFreePagesWorthIt = 256;

// The first 63 bits of the SHA-256: SQLite's integers have a sign, and a clash only costs a look.
uint64_t HashOf(std::string_view bytes) {
  const Digest digest = DigestOf(bytes);
  uint64_t hash = 0;
  memcpy(&hash, digest.sha256.data(), sizeof hash);
  return hash >> 1;
}

template <typename T>
std::string_view AsBytes(const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

void AppendHash(std::string_view path, std::string* hashes) {
  const uint64_t hash = HashOf(path);
  hashes->append(AsBytes(hash));
}

bool Parse(std::string_view bytes, v1::ActionRecord* record) {
  return record->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace

uint64_t ActionRows::HashOfPlace(const v1::Fingerprint& key) {
  std::string bytes = key.cwd();
  for (const std::string& argument : key.argv()) bytes.append(1, '\0').append(argument);
  return HashOf(bytes);
}

uint64_t ActionRows::HashOfInputs(const v1::ActionRecord& record) {
  std::string bytes;
  for (const v1::Observation& observation : record.observations()) {
    const uint64_t size = observation.ByteSizeLong();
    const size_t begin = bytes.append(AsBytes(size)).size();
    bytes.resize(begin + size);
    observation.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(bytes.data() + begin));
  }
  return HashOf(bytes);
}

absl::StatusOr<std::unique_ptr<ActionRows>> ActionRows::Open(const std::string& path) {
  absl::StatusOr<std::unique_ptr<Database>> writer = Database::Open(path, kSchema);
  if (!writer.ok()) return writer.status();
  absl::StatusOr<std::unique_ptr<Database>> reader = Database::OpenSecond(path);
  if (!reader.ok()) return reader.status();
  return std::unique_ptr<ActionRows>(new ActionRows(*std::move(reader), *std::move(writer)));
}

absl::Status ActionRows::Load(absl::FunctionRef<void(Row)> action, DigestCache* digests,
                              std::map<std::string, int64_t>* counters) {
  Query actions(reader_->raw(), "SELECT id, fingerprint, place, inputs, used, length(record) FROM actions ORDER BY id");
  while (actions.Next()) {
    action({.id = static_cast<uint64_t>(actions.Integer(0)),
            .fingerprint = std::string(actions.Blob(1)),
            .place = static_cast<uint64_t>(actions.Integer(2)),
            .inputs = static_cast<uint64_t>(actions.Integer(3)),
            .used_unix_ns = actions.Integer(4),
            .bytes = static_cast<uint64_t>(actions.Integer(5))});
  }
  if (!actions.status().ok()) return actions.status();
  Query known(reader_->raw(), "SELECT path, stamp, digest FROM digests");
  while (known.Next()) {
    DigestCache::Entry entry;
    if (known.Blob(1).size() != sizeof entry.stamp || known.Blob(2).size() != sizeof entry.digest) continue;
    memcpy(&entry.stamp, known.Blob(1).data(), sizeof entry.stamp);
    memcpy(&entry.digest, known.Blob(2).data(), sizeof entry.digest);
    digests->Restore(std::string(known.Blob(0)), entry);
  }
  if (!known.status().ok()) return known.status();
  Query counts(reader_->raw(), "SELECT name, value FROM counters");
  while (counts.Next()) (*counters)[std::string(counts.Blob(0))] = counts.Integer(1);
  return counts.status();
}

bool ActionRows::Read(uint64_t id, v1::ActionRecord* record) {
  Query query(reader_->raw(), "SELECT record FROM actions WHERE id = ?");
  query.Bind(1, static_cast<int64_t>(id));
  return query.Next() && Parse(query.Blob(0), record);
}

std::vector<uint64_t> ActionRows::OfPaths(const absl::flat_hash_set<std::string>& paths, Kind kind) {
  absl::flat_hash_set<uint64_t> wanted;
  for (const std::string& path : paths) wanted.insert(HashOf(path));
  Query query(reader_->raw(), kind == Kind::kMakes ? "SELECT action, makes FROM paths ORDER BY action"
                                                   : "SELECT action, reads FROM paths ORDER BY action");
  std::vector<uint64_t> ids;
  while (query.Next()) {
    std::string_view hashes = query.Blob(1);
    for (uint64_t hash = 0; hashes.size() >= sizeof hash; hashes.remove_prefix(sizeof hash)) {
      memcpy(&hash, hashes.data(), sizeof hash);
      if (!wanted.contains(hash)) continue;
      ids.push_back(static_cast<uint64_t>(query.Integer(0)));
      break;
    }
  }
  return ids;
}

absl::Status ActionRows::Write(const Batch& batch) {
  if (absl::Status status = writer_->Execute("BEGIN IMMEDIATE"); !status.ok()) return status;
  absl::Status status = WriteRows(batch);
  if (status.ok()) status = writer_->Execute("COMMIT");
  if (!status.ok()) writer_->Execute("ROLLBACK").IgnoreError();  // SQLite may have done so itself.
  return status;
}

absl::Status ActionRows::WriteRows(const Batch& batch) {
  sqlite3* const raw = writer_->raw();
  Query drop(raw, "DELETE FROM actions WHERE id = ?");
  Query drop_paths(raw, "DELETE FROM paths WHERE action = ?");
  for (const uint64_t id : batch.gone) {
    if (absl::Status done = drop.Bind(1, static_cast<int64_t>(id)).Run(); !done.ok()) return done;
    if (absl::Status done = drop_paths.Bind(1, static_cast<int64_t>(id)).Run(); !done.ok()) return done;
  }
  // OR REPLACE: the end of a commit may have failed after all was written.
  Query insert(raw,
               "INSERT OR REPLACE INTO actions(id, fingerprint, place, inputs, used, record) VALUES(?, ?, ?, ?, ?, ?)");
  Query paths(raw, "INSERT OR REPLACE INTO paths(action, makes, reads) VALUES(?, ?, ?)");
  for (const auto& [row, action] : batch.added) {
    const auto id = static_cast<int64_t>(row.id);
    const std::string bytes = action->record.SerializeAsString();
    insert.Bind(1, id).Bind(2, std::string_view(row.fingerprint)).Bind(3, static_cast<int64_t>(row.place));
    insert.Bind(4, static_cast<int64_t>(row.inputs)).Bind(5, row.used_unix_ns).Bind(6, std::string_view(bytes));
    if (absl::Status done = insert.Run(); !done.ok()) return done;
    std::string makes;
    std::string reads;
    for (const v1::Effect& effect : action->record.effects()) AppendHash(effect.path(), &makes);
    for (const v1::Observation& observation : action->record.observations()) {
      if (IsRead(observation)) AppendHash(observation.path(), &reads);
    }
    paths.Bind(1, id).Bind(2, std::string_view(makes)).Bind(3, std::string_view(reads));
    if (absl::Status done = paths.Run(); !done.ok()) return done;
  }
  Query touch(raw, "UPDATE actions SET used = ? WHERE id = ?");
  for (const auto& [id, used] : batch.used) {
    if (absl::Status done = touch.Bind(1, used).Bind(2, static_cast<int64_t>(id)).Run(); !done.ok()) return done;
  }
  if (batch.digests.anew) {
    if (absl::Status done = writer_->Execute("DELETE FROM digests"); !done.ok()) return done;
  }
  Query digest(raw, "INSERT OR REPLACE INTO digests(path, stamp, digest) VALUES(?, ?, ?)");
  for (const auto& [name, entry] : batch.digests.entries) {
    digest.Bind(1, std::string_view(name)).Bind(2, AsBytes(entry.stamp)).Bind(3, AsBytes(entry.digest));
    if (absl::Status done = digest.Run(); !done.ok()) return done;
  }
  Query counter(raw, "INSERT OR REPLACE INTO counters(name, value) VALUES(?, ?)");
  for (const auto& [name, value] : batch.counters) {
    if (absl::Status done = counter.Bind(1, std::string_view(name)).Bind(2, value).Run(); !done.ok()) return done;
  }
  return absl::OkStatus();
}

absl::Status ActionRows::ForEach(
    absl::FunctionRef<void(uint64_t id, int64_t used, uint64_t bytes, const v1::ActionRecord*)> fn) {
  Query query(writer_->raw(), "SELECT id, used, record FROM actions ORDER BY used, id");
  v1::ActionRecord record;
  while (query.Next()) {
    const std::string_view bytes = query.Blob(2);
    const bool sound = Parse(bytes, &record);
    fn(static_cast<uint64_t>(query.Integer(0)), query.Integer(1), bytes.size(), sound ? &record : nullptr);
  }
  return query.status();
}

absl::Status ActionRows::Shrink() {
  int64_t free = 0;
  int64_t pages = 0;
  {
    Query free_pages(writer_->raw(), "PRAGMA freelist_count");
    Query all_pages(writer_->raw(), "PRAGMA page_count");
    if (free_pages.Next()) free = free_pages.Integer(0);
    if (all_pages.Next()) pages = all_pages.Integer(0);
  }
  if (free < kFreePagesWorthIt || free < pages / 4) return absl::OkStatus();
  if (absl::Status status = writer_->Execute("VACUUM"); !status.ok()) return status;
  return writer_->Execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace ocpwatch
