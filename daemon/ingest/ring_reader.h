// Takes the frames out of a session's ring and gives them to its sink, whatever the writers have done to the memory.
//
// The ring is shared with programs that may be hostile. The reader keeps its own position, trusts no index and no
// length that it has not checked, and copies each frame before it looks into it. What can be wrong, and what follows:
//
//   a frame that cannot be parsed          damage for its process, whose later frames are ignored; nobody else notices
//   a record that a dead process began     stepped over, damage for that process
//   the same of a process that lives       waited for while nobody needs the room; then marked kSkip and stepped over
//   a head that cannot be                  the words of the records say where the end is; head is put right
//   a word that cannot be                  what is pending is dropped (a whole new lap begins if even head is wrong),
//                                          damage for the session
//
// A frame counts once it is committed: that its writer was killed right after changes nothing.
//
// A process that was stopped (SIGSTOP) inside of the 50 ns of its write, was passed over, and goes on later writes its
// frame into somebody else's record. That is found as garbage, or gives that record's frame a wrong content if both are
// of equal form. Passing over needs a full ring and kBusyBoundNs, and is itself reported as damage.
//
// Measured (ingest_test "[benchmark]", frames of 98 bytes with a FileStat, a sink that does nothing): 122 ns a frame,
// 8 million a second on one core; most of it is protobuf's parsing.
//
// Threads: all of it belongs to the one thread that reads (ring_loop.h), except Interrupt.
#ifndef OCPWATCH_DAEMON_INGEST_RING_READER_H_
#define OCPWATCH_DAEMON_INGEST_RING_READER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "daemon/ingest/frame_decoder.h"
#include "daemon/ingest/ingest_target.h"
#include "daemon/ingest/reply_writer.h"
#include "daemon/ingest/ring.h"

namespace ocpwatch {

// How long an unfinished record stands before the reader asks whether its writer is dead: a frame is written in less
// than a microsecond, but its writer may lose the processor in between.
inline constexpr int64_t kBusyGraceNs = 50'000'000;
// How long a living writer may keep others out of a full ring. Less than kStallBoundNs, after which they would give up.
inline constexpr int64_t kBusyBoundNs = kStallBoundNs / 2;
// With nothing to read for so long, writers have to ring: a wake-up for each 20 ms of work, none in an idle session.
inline constexpr int64_t kFallAsleepNs = 200'000'000;
// Numbers of processes whose stream has ended; more than that no honest session has. Any further is damage each time.
inline constexpr size_t kMaxEndedProcesses = size_t{64} * 1024;

class RingReader {
 public:
  // `target` and its ring must outlive the reader.
  explicit RingReader(IngestTarget& target);

  // Delivers what is ready, at most `max_frames`. Returns how many records it passed; 0: nothing is ready.
  // Takes target.mutex().
  size_t Drain(size_t max_frames);
  // Nothing was drained: lets the sink do something else for a moment. False: it has nothing to do.
  bool Idle();

  // Waits until there may be something to read, Interrupt was called or `timeout_ns` (< 0: for ever) has passed.
  // Costs writers nothing while they are busy, and nobody anything while they are not.
  void WaitForWork(int64_t timeout_ns);

  // Ends the present or the next WaitForWork. Any thread.
  void Interrupt();

  // From now on nobody is waited for longer than kBusyGraceNs: the session is over.
  void Hurry() { hurry_.store(true, std::memory_order_relaxed); }

  // Everything before this position has been delivered. Any thread.
  uint64_t position() const { return position_.load(std::memory_order_acquire); }
  // How often Drain has found the end of what was ready. Any thread.
  uint64_t ends_seen() const { return ends_seen_.load(std::memory_order_acquire); }
  // Frames given to the sink. Any thread.
  uint64_t frames() const { return frames_.load(std::memory_order_relaxed); }

  // Frees reply slots of processes that died while they waited.
  void ReapReplySlots() { replies_.ReapDead(); }

 private:
  enum class Step { kProgress, kNothing, kLater };
  Step ReadRecord();
  Step ReadFree(std::atomic<uint64_t>& state);
  Step ReadBusy(std::atomic<uint64_t>& state, uint64_t word, uint64_t span);
  bool SpanIsPossible(uint64_t word, uint64_t* span);
  bool HeadIsPossible(uint64_t head) const;
  void Deliver(uint64_t bytes);
  void EndStream(uint32_t process, std::string_view why);
  bool NumberWasGivenOut(uint32_t process);
  void Consume(uint64_t span);
  void FreeForNextLap(uint64_t span);
  void PublishTail();
  Step Resynchronise(std::string_view why);
  void BeginNewLap();
  void CheckCounters();
  bool SomethingAtTail();
  bool RoomIsNeeded();

  IngestTarget& target_;
  Ring& ring_;
  RingHeader& header_;
  const uint64_t data_size_;
  FrameDecoder decoder_;
  ReplyWriter replies_;
  std::string copy_;  // A frame, out of the shared memory.

  uint64_t tail_ = 0;            // The truth; header_.tail only tells the writers.
  uint64_t published_tail_ = 0;  // What header_.tail was last set to.
  uint64_t known_head_ = 0;      // A head that was possible: records before it need no look at the shared one.
  uint64_t busy_word_ = 0;       // The unfinished record at tail_, 0: none.
  int64_t busy_since_ns_ = 0;
  int64_t idle_since_ns_ = 0;  // 0: not idle.
  int fruitless_wakes_ = 0;
  bool back_off_ = false;  // The ring was garbage: no hurry to look at it again.
  uint64_t seen_lost_frames_ = 0;
  bool seen_abandoned_ = false;
  uint64_t given_out_ = 2;  // Process numbers below have been given out.
  absl::flat_hash_set<uint32_t> ended_;
  std::atomic<bool> hurry_{false};
  std::atomic<bool> interrupted_{false};
  std::atomic<uint64_t> position_{0};
  std::atomic<uint64_t> ends_seen_{0};
  std::atomic<uint64_t> frames_{0};
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_INGEST_RING_READER_H_
