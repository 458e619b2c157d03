#include "daemon/store/database.h"

#include "absl/strings/str_cat.h"

namespace ocpwatch {

namespace {

constexpr int kBusyTimeoutMs = 5000;

absl::Status Error(sqlite3* database) {
  const int code = sqlite3_errcode(database);
  const std::string message = absl::StrCat("the database of actions: ", sqlite3_errmsg(database));
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) return absl::DataLossError(message);
  return absl::InternalError(message);
}

}  // namespace

Query::Query(sqlite3* database, const char* sql) : database_(database) {
  if (sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr) != SQLITE_OK) status_ = Error(database);
}

Query& Query::Bind(int position, int64_t value) {
  sqlite3_bind_int64(statement_, position, value);
  return *this;
}

Query& Query::Bind(int position, std::string_view blob) {
  sqlite3_bind_blob(statement_, position, blob.empty() ? "" : blob.data(), static_cast<int>(blob.size()),
                    SQLITE_STATIC);
  return *this;
}

bool Query::Next() {
  if (!status_.ok()) return false;
  const int step = sqlite3_step(statement_);
  if (step == SQLITE_ROW) return true;
  if (step != SQLITE_DONE) status_ = Error(database_);
  return false;
}

std::string_view Query::Blob(int column) const {
  const void* const bytes = sqlite3_column_blob(statement_, column);
  return {static_cast<const char*>(bytes), static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

void Query::Reset() { sqlite3_reset(statement_); }

absl::Status Query::Run() {
  while (Next()) {
  }
  absl::Status status = status_;
  if (statement_ != nullptr) status_ = absl::OkStatus();
  Reset();
  return status;
}

absl::StatusOr<std::unique_ptr<Database>> Database::Connect(const std::string& path) {
  sqlite3* raw = nullptr;
  const int result = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  std::unique_ptr<Database> database(new Database(raw));
  if (result != SQLITE_OK) return Error(raw);
  sqlite3_busy_timeout(raw, kBusyTimeoutMs);
  // NORMAL: a power cut may lose the last transactions, never the database. The cache, in KiB, instead of 2000: builds
  // fill that with what is read once, and without it neither Find nor Commit takes longer.
  for (const char* sql : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", "PRAGMA cache_size=-256"}) {
    if (absl::Status status = database->Execute(sql); !status.ok()) return status;
  }
  return database;
}

absl::StatusOr<std::unique_ptr<Database>> Database::OpenSecond(const std::string& path) { return Connect(path); }

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path, const char* schema) {
  absl::StatusOr<std::unique_ptr<Database>> database = Connect(path);
  if (!database.ok()) return database;
  if (absl::Status status = (*database)->Execute(schema); !status.ok()) return status;
  Query check((*database)->raw(), "PRAGMA quick_check(1)");
  const bool answered = check.Next();
  if (!check.status().ok()) return check.status();
  if (!answered || check.Blob(0) != "ok") return absl::DataLossError("the database of actions is damaged");
  return database;
}

absl::Status Database::Execute(const char* sql) {
  return sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) == SQLITE_OK ? absl::OkStatus() : Error(database_);
}

}  // namespace ocpwatch
