// Writes a session log (log_format.h) beside the session: whoever appends never compresses nor waits for the disk,
// unless that is slower than the events for a long time.
//
// Events are gathered in a block. When it is full, or 250 ms old, the writer's own thread compresses it and appends it
// to the file, so that a live reader is behind by no more than that. At most kMaxQueuedBlocks wait; then WaitForRoom
// waits.
//
// If the file cannot be written (disk full, I/O error), the log ends with the last whole block: status() says why, and
// everything later is dropped. The session goes on.
//
// Threads: Append*, WaitForRoom, Flush and the accessors from any; Finish once, by one.
#ifndef OCPWATCH_DAEMON_SESSION_LOG_WRITER_H_
#define OCPWATCH_DAEMON_SESSION_LOG_WRITER_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/session/append_file.h"
#include "daemon/session/trace.h"
#include "ocpwatch/v1/session.pb.h"

struct ZSTD_CCtx_s;

namespace ocpwatch {

// zstd's level. Measured by session_bench on the stat, open and close events of a build (55 bytes each as frames):
// level 1 makes 11.9 bytes of one and costs 143 ns for append, compression and write; level 3 makes 9.7 bytes and costs
// 175 ns. The processor belongs to the build.
inline constexpr int kCompressionLevel = 1;

inline constexpr absl::Duration kMaxBlockAge = absl::Milliseconds(250);
// 8 MiB of events: some 80 000, before whoever appends has to wait.
inline constexpr size_t kMaxQueuedBlocks = 8;

class LogWriter {
 public:
  // Writes the header at once, so that an unwritable file is known before anything runs.
  static absl::StatusOr<std::unique_ptr<LogWriter>> Create(std::unique_ptr<AppendFile> file,
                                                           const v1::SessionHeader& header,
                                                           int level = kCompressionLevel);
  // Writes what is left, without a summary, if Finish was not called.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // From here on blocks are written when they are old, too. The thread costs 0.2 ms, and most builds end before
  // anything happens.
  void Start();

  // A v1::Frame as it came on the wire. It is not parsed.
  void AppendFrame(std::string_view bytes);
  void AppendEvent(const v1::Event& event);
  // Call after Append without holding what others need: returns when the queue has room.
  void WaitForRoom();

  // Returns when everything appended so far is in the file, or the log has failed.
  void Flush();
  // Everything left, the summary and the footer; ends the thread. Returns status().
  absl::Status Finish(const Trace& trace);

  // OK, or why the log has ended early.
  absl::Status status() const;
  // Of the file so far.
  uint64_t bytes() const;

 private:
  LogWriter(std::unique_ptr<AppendFile> file, int level);
  void Begin(size_t event_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SealBlock() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StartThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run();
  void Stop();
  // Compresses and appends one block; records a failure.
  void WriteBlock(std::string_view block);
  void WriteRaw(std::string_view bytes);

  const std::unique_ptr<AppendFile> file_;
  ZSTD_CCtx_s* const context_;  // Of whoever writes blocks: the thread, and before and after it Create and Finish.
  std::string compressed_;

  mutable absl::Mutex mutex_;
  std::string block_ ABSL_GUARDED_BY(mutex_);
  absl::Time block_began_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> queue_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> spare_ ABSL_GUARDED_BY(mutex_);  // Used blocks, to be filled again.
  std::atomic<size_t> queued_blocks_{0};                   // queue_.size(), for a look without the mutex.
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;  // No thread is made any more.
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  uint64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;  // Made under the mutex.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_LOG_WRITER_H_
