// Reads a session log (log_format.h) of any origin: whole, torn by a crash, still being written, or hostile.
//
// A reader holds one decompressed block and nothing more, whatever the log's size. It verifies each block's checksum
// before it gives an event of it away. Not synchronised; one thread at a time.
#ifndef OCPWATCH_DAEMON_SESSION_LOG_READER_H_
#define OCPWATCH_DAEMON_SESSION_LOG_READER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "daemon/session/trace.h"
#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

// How a log ends.
enum class LogEnding {
  kNotRead,   // Not at the end yet.
  kComplete,  // With the summary: closed in good order.
  kOpen,      // At the end of a block without a summary: it is still being written, or its writer was killed.
  kTorn,      // In the middle of a block, or a block is damaged; what follows it is not read.
};

class LogReader {
 public:
  // Opens the log and reads its header. Errors: NOT_FOUND, PERMISSION_DENIED and the like from opening;
  // INVALID_ARGUMENT: it is no session log; FAILED_PRECONDITION: of another format, newer or older; DATA_LOSS: torn
  // before the header was complete.
  static absl::StatusOr<std::unique_ptr<LogReader>> Open(const std::string& path);
  ~LogReader();
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;

  const v1::SessionHeader& header() const { return header_; }

  // The next event behind the header: frame, damage or end. False at the end, see ending(). A log that goes on being
  // written can be asked again after kOpen and kTorn.
  bool Next(v1::Event* event);

  LogEnding ending() const { return ending_; }
  // For people; empty unless kTorn.
  const std::string& damage() const { return damage_; }
  uint64_t file_bytes() const;

  // The summary, if the log has one: reads only the end of the file. NOT_FOUND if there is none.
  absl::Status ReadSummary(Trace* trace);
  // Its totals alone, one block. NOT_FOUND if there are none.
  absl::Status ReadTotals(v1::SessionTotals* totals);

 private:
  explicit LogReader(int fd) : fd_(fd) {}
  enum class Block { kRead, kEnd, kBroken };
  Block ReadBlock();
  absl::Status GoToSummary();
  Block Torn(std::string_view what, bool tear);
  std::string_view Window(size_t size);
  bool NextMessage(v1::Event* event, bool* broken);

  const int fd_;
  v1::SessionHeader header_;
  LogEnding ending_ = LogEnding::kNotRead;
  std::string damage_;
  bool damage_is_tear_ = false;  // The rest may still come.
  uint64_t offset_ = 0;          // In the file, of the next block.
  std::string compressed_;       // Bytes of the file from window_offset_ on.
  uint64_t window_offset_ = 0;
  std::string block_;    // Decompressed.
  size_t position_ = 0;  // In block_.
};

// A log as a model.
struct LoadedLog {
  v1::SessionHeader header;
  Trace trace;
  LogEnding ending = LogEnding::kNotRead;
  uint64_t log_bytes = 0;
  bool replayed = false;  // No summary was there: every event was read.
};

// Loads by the summary (a session of 10 million events: milliseconds) or, where there is none, by replay. A torn log is
// no error: its model says in `truth` what is missing. Errors as LogReader::Open.
absl::StatusOr<std::unique_ptr<LoadedLog>> LoadLog(const std::string& path);

// The same, always by replay.
absl::StatusOr<std::unique_ptr<LoadedLog>> ReplayLog(const std::string& path);

// What of a row a header and a model tell: everything but state, log and log_bytes. The notes are NotSeen() of truth.h.
v1::SessionRecord DescribeHeader(const v1::SessionHeader& header);
void DescribeTrace(const Trace& trace, v1::SessionRecord* record);

// The row of a session as its log tells it. `state` is FINISHED for a complete log, else INTERRUPTED.
v1::SessionRecord MakeRecord(const LoadedLog& log, const std::string& path);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_LOG_READER_H_
