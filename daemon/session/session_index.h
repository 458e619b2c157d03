// The list of sessions that outlives the daemon: <state>/index.db, SQLite in WAL mode, a row for each session.
//
// Ids are small numbers, counted up and never given twice. A database that cannot be read is set aside as
// index.db.damaged-N and made again from the logs in <state>/sessions; notes() says so.
//
// Thread-safe: one mutex, one connection. Only the daemon that holds the state directory's lock may open it;
// it may go on using it when it has let go of the lock: SQLite takes two writers, and each daemon has its own rows.
#ifndef OCPWATCH_DAEMON_SESSION_SESSION_INDEX_H_
#define OCPWATCH_DAEMON_SESSION_SESSION_INDEX_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "ocpwatch/v1/session.pb.h"

struct sqlite3;

namespace ocpwatch {

class SessionIndex {
 public:
  // Opens or makes <state_directory>/index.db and <state_directory>/sessions. Sessions that an earlier daemon left
  // running become INTERRUPTED (counted later if they are large), unless it still writes their logs (append_file.h).
  static absl::StatusOr<std::unique_ptr<SessionIndex>> Open(const std::string& state_directory);
  ~SessionIndex();
  SessionIndex(const SessionIndex&) = delete;
  SessionIndex& operator=(const SessionIndex&) = delete;

  // Takes the next id, sets record->id and record->log (<state>/sessions/<id>.ocplog) and inserts the row.
  absl::Status Insert(v1::SessionRecord* record);
  // Writes the row of record.id anew. NOT_FOUND if it is not there.
  absl::Status Update(const v1::SessionRecord& record);

  // Oldest first. Rows that are not `counted` are left so.
  absl::StatusOr<std::vector<v1::SessionRecord>> List();
  // By id, else the last one of that name; empty: the last one. A row that is not counted is counted by replay of its
  // log first and kept. NOT_FOUND with a sentence for people.
  absl::StatusOr<v1::SessionRecord> Find(const std::string& id_or_name);
  // Removes the row and the log. Returns the bytes of the log.
  absl::StatusOr<uint64_t> Remove(const std::string& id);

  // What went wrong and was mended at Open, for the daemon's own log.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  SessionIndex(std::string directory, sqlite3* database) : directory_(std::move(directory)), database_(database) {}
  absl::Status MarkInterrupted();
  absl::Status RebuildFromLogs();
  absl::Status AddRow(v1::SessionRecord* record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status WriteRow(const v1::SessionRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string directory_;
  absl::Mutex mutex_;
  sqlite3* const database_ ABSL_PT_GUARDED_BY(mutex_);
  std::vector<std::string> notes_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_SESSION_INDEX_H_
