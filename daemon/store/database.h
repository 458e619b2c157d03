// SQLite, as far as the store needs it.
//
// Not thread-safe: whoever has a Database guards it.
#ifndef OCPWATCH_DAEMON_STORE_DATABASE_H_
#define OCPWATCH_DAEMON_STORE_DATABASE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ocpwatch {

// One statement, bound and stepped through; to be used again after Reset.
class Query {
 public:
  Query(sqlite3* database, const char* sql);
  ~Query() { sqlite3_finalize(statement_); }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  // Positions count from 1. What is bound lives until the next Reset.
  Query& Bind(int position, int64_t value);
  Query& Bind(int position, std::string_view blob);
  // True: there is a row. An error ends the rows; it is asked for by status().
  bool Next();
  int64_t Integer(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string_view Blob(int column) const;
  absl::Status status() const { return status_; }
  void Reset();
  // Steps to the end and resets.
  absl::Status Run();

 private:
  sqlite3* const database_;
  sqlite3_stmt* statement_ = nullptr;
  absl::Status status_;
};

class Database {
 public:
  // Opens or makes the file and checks that it is whole; DATA_LOSS where it is not.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path, const char* schema);
  // Another connection to a database that Open has just checked.
  static absl::StatusOr<std::unique_ptr<Database>> OpenSecond(const std::string& path);
  ~Database() { sqlite3_close(database_); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  absl::Status Execute(const char* sql);
  sqlite3* raw() { return database_; }

 private:
  explicit Database(sqlite3* database) : database_(database) {}
  static absl::StatusOr<std::unique_ptr<Database>> Connect(const std::string& path);
  sqlite3* const database_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_STORE_DATABASE_H_
