#include "daemon/session/session_index.h"

#include <dirent.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "daemon/session/append_file.h"
#include "daemon/session/log_reader.h"
#include "daemon/session/totals.h"

namespace ocpwatch {

namespace {

constexpr int kSchema = 1;
constexpr int kBusyTimeoutMs = 5000;

// An interrupted log up to this size is counted when the daemon starts: some 20 ms. A larger one when it is asked for.
constexpr uint64_t kCountAtOnceBytes = uint64_t{1} << 20;

// AUTOINCREMENT: an id is never given twice, not even that of a removed session.
constexpr char kCreate[] =
    "CREATE TABLE IF NOT EXISTS sessions("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  record BLOB NOT NULL);"  // v1::SessionRecord
    "CREATE INDEX IF NOT EXISTS sessions_by_name ON sessions(name);";

absl::Status Error(sqlite3* database, std::string_view what) {
  return absl::InternalError(absl::StrCat("index.db: ", std::string(what), ": ", sqlite3_errmsg(database)));
}

absl::Status Execute(sqlite3* database, const char* sql) {
  return sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK ? absl::OkStatus() : Error(database, sql);
}

class Statement {
 public:
  Statement(sqlite3* database, const char* sql) { sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr); }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void Bind(int position, int64_t value) { sqlite3_bind_int64(statement_, position, value); }
  void BindText(int position, const std::string& value) {
    sqlite3_bind_text(statement_, position, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
  }
  void BindBlob(int position, const std::string& value) {
    sqlite3_bind_blob(statement_, position, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
  }
  int Step() { return statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_); }
  int64_t Integer(int column) { return sqlite3_column_int64(statement_, column); }
  std::string_view Blob(int column) {
    const void* const bytes = sqlite3_column_blob(statement_, column);
    return {static_cast<const char*>(bytes), static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

bool IsOver(v1::SessionState state) { return state == v1::SESSION_FINISHED || state == v1::SESSION_INTERRUPTED; }

absl::Status MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, path);
}

absl::StatusOr<sqlite3*> OpenDatabase(const std::string& path) {
  sqlite3* database = nullptr;
  const int result = sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  if (result != SQLITE_OK) {
    absl::Status status = Error(database, path);
    sqlite3_close(database);
    return status;
  }
  sqlite3_busy_timeout(database, kBusyTimeoutMs);
  return database;
}

// Whether the database can be used as it is. A file that is no database is noticed only when it is read.
absl::Status Check(sqlite3* database) {
  if (absl::Status status = Execute(database, "PRAGMA journal_mode=WAL"); !status.ok()) return status;
  // A power cut may lose the last rows, never the database; the logs are there to count them again.
  if (absl::Status status = Execute(database, "PRAGMA synchronous=NORMAL"); !status.ok()) return status;
  Statement check(database, "PRAGMA quick_check(1)");
  if (check.Step() != SQLITE_ROW || check.Blob(0) != "ok") return absl::DataLossError("index.db is damaged");
  Statement version(database, "PRAGMA user_version");
  if (version.Step() != SQLITE_ROW) return Error(database, "user_version");
  if (version.Integer(0) != 0 && version.Integer(0) != kSchema) {
    return absl::FailedPreconditionError(absl::StrCat("index.db has schema ", version.Integer(0)));
  }
  if (absl::Status status = Execute(database, kCreate); !status.ok()) return status;
  Statement read(database, "SELECT id, name, state, record FROM sessions LIMIT 1");
  if (const int step = read.Step(); step != SQLITE_ROW && step != SQLITE_DONE) return Error(database, "sessions");
  return Execute(database, absl::StrCat("PRAGMA user_version=", kSchema).c_str());
}

// False if the log cannot be read; the row is left as it is.
bool CountByReplay(v1::SessionRecord* record) {
  const absl::StatusOr<LoadedTotals> log = LoadTotals(record->log());
  if (!log.ok()) return false;
  record->set_log_bytes(log->record.log_bytes());
  DescribeTotals(log->totals, record);
  return true;
}

// Renames the database and what belongs to it out of the way; returns the new name.
std::string SetAside(const std::string& path) {
  std::string aside;
  for (int i = 1;; ++i) {
    aside = absl::StrCat(path, ".damaged-", i);
    if (access(aside.c_str(), F_OK) != 0) break;
  }
  rename(path.c_str(), aside.c_str());
  for (const char* suffix : {"-wal", "-shm"}) unlink(absl::StrCat(path, suffix).c_str());
  return aside;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SessionIndex>> SessionIndex::Open(const std::string& state_directory) {
  for (const std::string& directory : {state_directory, absl::StrCat(state_directory, "/sessions")}) {
    if (absl::Status status = MakeDirectory(directory); !status.ok()) return status;
  }
  const std::string path = absl::StrCat(state_directory, "/index.db");
  std::vector<std::string> notes;
  bool rebuild = access(path.c_str(), F_OK) != 0;
  absl::StatusOr<sqlite3*> database = OpenDatabase(path);
  absl::Status usable = database.ok() ? Check(*database) : database.status();
  if (!usable.ok()) {
    if (database.ok()) sqlite3_close(*database);
    const std::string aside = SetAside(path);
    notes.push_back(absl::StrCat("The list of sessions could not be read (", std::string(usable.message()),
                                 "). It was set aside as ", aside, " and made again from the logs."));
    database = OpenDatabase(path);
    if (!database.ok()) return database.status();
    usable = Check(*database);
    if (!usable.ok()) {
      sqlite3_close(*database);
      return usable;
    }
    rebuild = true;
  }
  auto index = std::unique_ptr<SessionIndex>(new SessionIndex(state_directory, *database));
  index->notes_ = std::move(notes);
  if (rebuild) {
    if (absl::Status status = index->RebuildFromLogs(); !status.ok()) return status;
  }
  if (absl::Status status = index->MarkInterrupted(); !status.ok()) return status;
  return index;
}

SessionIndex::~SessionIndex() { sqlite3_close(database_); }

absl::Status SessionIndex::MarkInterrupted() {
  absl::StatusOr<std::vector<v1::SessionRecord>> sessions = List();
  if (!sessions.ok()) return sessions.status();
  for (v1::SessionRecord& record : *sessions) {
    // A daemon that has handed over to this one still ends its own sessions.
    if (IsOver(record.state()) || IsBeingWritten(record.log())) continue;
    record.set_state(v1::SESSION_INTERRUPTED);
    record.set_counted(false);
    struct stat log;
    record.set_log_bytes(stat(record.log().c_str(), &log) == 0 ? static_cast<uint64_t>(log.st_size) : 0);
    if (record.log_bytes() <= kCountAtOnceBytes) CountByReplay(&record);
    if (absl::Status status = Update(record); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status SessionIndex::RebuildFromLogs() {
  const std::string directory = absl::StrCat(directory_, "/sessions");
  DIR* const stream = opendir(directory.c_str());
  if (stream == nullptr) return absl::ErrnoToStatus(errno, directory);
  const absl::Cleanup close = [stream] { closedir(stream); };
  absl::MutexLock lock(&mutex_);
  while (const dirent* const entry = readdir(stream)) {
    std::string_view name = entry->d_name;
    constexpr std::string_view kSuffix = ".ocplog";
    if (!name.ends_with(kSuffix)) continue;
    name.remove_suffix(kSuffix.size());
    int64_t id = 0;
    if (!absl::SimpleAtoi(absl::string_view(name.data(), name.size()), &id) || id <= 0) continue;
    v1::SessionRecord record;
    record.set_id(absl::StrCat(id));
    record.set_log(absl::StrCat(directory, "/", id, ".ocplog"));
    if (auto reader = LogReader::Open(record.log()); reader.ok()) {
      const std::string log = record.log();
      record = DescribeHeader((*reader)->header());
      record.set_id(absl::StrCat(id));
      record.set_log(log);
      record.set_log_bytes((*reader)->file_bytes());
      // Cheap where it is there; a log without one is counted when somebody asks.
      v1::SessionTotals totals;
      if ((*reader)->ReadTotals(&totals).ok()) {
        DescribeTotals(totals, &record);
        record.set_state(v1::SESSION_FINISHED);
      }
    }
    if (record.state() != v1::SESSION_FINISHED) record.set_state(v1::SESSION_INTERRUPTED);
    if (absl::Status status = WriteRow(record); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status SessionIndex::WriteRow(const v1::SessionRecord& record) {
  int64_t id = 0;
  if (!absl::SimpleAtoi(record.id(), &id)) return absl::InvalidArgumentError("a session's id is a number");
  Statement write(database_, "INSERT OR REPLACE INTO sessions(id, name, state, record) VALUES(?, ?, ?, ?)");
  write.Bind(1, id);
  write.BindText(2, record.name());
  write.Bind(3, record.state());
  write.BindBlob(4, record.SerializeAsString());
  return write.Step() == SQLITE_DONE ? absl::OkStatus() : Error(database_, "writing a session");
}

absl::Status SessionIndex::Insert(v1::SessionRecord* record) {
  absl::MutexLock lock(&mutex_);
  if (absl::Status status = Execute(database_, "BEGIN IMMEDIATE"); !status.ok()) return status;
  absl::Status added = AddRow(record);
  if (added.ok()) added = Execute(database_, "COMMIT");
  // Else the next one could not begin. Where the database has ended it by itself there is none to end.
  if (!added.ok()) Execute(database_, "ROLLBACK").IgnoreError();
  return added;
}

absl::Status SessionIndex::AddRow(v1::SessionRecord* record) {
  for (int64_t attempt = 0;; ++attempt) {
    Statement insert(database_, "INSERT INTO sessions(name, state, record) VALUES(?, ?, x'')");
    insert.BindText(1, record->name());
    insert.Bind(2, record->state());
    if (insert.Step() != SQLITE_DONE) return Error(database_, "adding a session");
    const int64_t id = sqlite3_last_insert_rowid(database_);
    record->set_id(absl::StrCat(id));
    record->set_log(absl::StrCat(directory_, "/sessions/", id, ".ocplog"));
    // A log that the list does not know (it was rebuilt, rows of the last power cut are gone) keeps its number.
    if (access(record->log().c_str(), F_OK) != 0) return WriteRow(*record);
    Statement remove(database_, "DELETE FROM sessions WHERE id = ?");
    remove.Bind(1, id);
    remove.Step();
  }
}

absl::Status SessionIndex::Update(const v1::SessionRecord& record) {
  absl::MutexLock lock(&mutex_);
  int64_t id = 0;
  if (!absl::SimpleAtoi(record.id(), &id)) return absl::InvalidArgumentError("a session's id is a number");
  Statement update(database_, "UPDATE sessions SET name = ?, state = ?, record = ? WHERE id = ?");
  update.BindText(1, record.name());
  update.Bind(2, record.state());
  update.BindBlob(3, record.SerializeAsString());
  update.Bind(4, id);
  if (update.Step() != SQLITE_DONE) return Error(database_, "writing a session");
  if (sqlite3_changes(database_) == 0) return absl::NotFoundError(absl::StrCat("there is no session ", record.id()));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::SessionRecord>> SessionIndex::List() {
  absl::MutexLock lock(&mutex_);
  Statement read(database_, "SELECT record FROM sessions ORDER BY id");
  std::vector<v1::SessionRecord> sessions;
  int step = SQLITE_ROW;
  while ((step = read.Step()) == SQLITE_ROW) {
    const std::string_view blob = read.Blob(0);
    v1::SessionRecord record;
    if (blob.empty() || !record.ParseFromArray(blob.data(), static_cast<int>(blob.size()))) continue;
    sessions.push_back(std::move(record));
  }
  if (step != SQLITE_DONE) return Error(database_, "reading the sessions");
  return sessions;
}

absl::StatusOr<v1::SessionRecord> SessionIndex::Find(const std::string& id_or_name) {
  v1::SessionRecord record;
  {
    absl::MutexLock lock(&mutex_);
    // An id goes before a name that looks like one.
    Statement read(
        database_,
        "SELECT record FROM sessions WHERE record != x'' AND (?1 = '' OR CAST(id AS TEXT) = ?1 OR name = ?1) "
        "ORDER BY CAST(id AS TEXT) = ?1 DESC, id DESC LIMIT 1");
    read.BindText(1, id_or_name);
    if (read.Step() != SQLITE_ROW) {
      if (id_or_name.empty()) return absl::NotFoundError("there is no session yet");
      return absl::NotFoundError(absl::StrCat("there is no session with the id or name \"", id_or_name, "\""));
    }
    const std::string_view blob = read.Blob(0);
    if (!record.ParseFromArray(blob.data(), static_cast<int>(blob.size()))) {
      return absl::DataLossError(absl::StrCat("the row of session \"", id_or_name, "\" is damaged"));
    }
  }
  if (record.counted() || !IsOver(record.state())) return record;
  if (!CountByReplay(&record)) return record;  // The caller will hear why when it reads the log.
  if (absl::Status status = Update(record); !status.ok()) return status;
  return record;
}

absl::StatusOr<uint64_t> SessionIndex::Remove(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  int64_t number = 0;
  if (!absl::SimpleAtoi(id, &number)) return absl::InvalidArgumentError("a session's id is a number");
  const std::string log = absl::StrCat(directory_, "/sessions/", number, ".ocplog");
  struct stat status;
  const uint64_t bytes = stat(log.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
  if (unlink(log.c_str()) != 0 && errno != ENOENT) return absl::ErrnoToStatus(errno, log);
  Statement remove(database_, "DELETE FROM sessions WHERE id = ?");
  remove.Bind(1, number);
  if (remove.Step() != SQLITE_DONE) return Error(database_, "removing a session");
  if (sqlite3_changes(database_) == 0) return absl::NotFoundError(absl::StrCat("there is no session ", id));
  return bytes;
}

}  // namespace ocpwatch
