// The session's ring: how frames reach the daemon without a system call, and without loss when the writer is killed.
//
// One memfd a session, made and held by the daemon, sealed against shrinking and growing, mapped by every process of
// the session. A process finds it as /proc/<daemon>/fd/<n>, which OCP_WATCH names, maps it and keeps no descriptor.
// All processes of the session write into the one ring: the order of its records is an order that respects causality
// (a parent's fork stands before its child's first frame), so the log of it needs no merging.
//
//   offset 0                          RingHeader
//   kRingDataOffset                   RingHeader::data_size bytes, a power of two: records, each of whole 8-byte words
//
// A record is one word of state and then the frame (intercept.proto), padded to whole words. Positions count bytes
// since the session began and are reduced modulo data_size; a record never crosses the end, a kSkip record fills the
// gap. The word:
//
//   bits 0-1   state   kFree  bits 2-47: this word's position in the lap to come, divided by 8; bits 48-63: kFreeMark
//                             (in the first lap all is 0)
//                      kBusy  bits 2-23: span in words, bits 24-63: process number of the writer
//                      kDone  bits 2-23: span in words, bits 24-63: bytes of the frame
//                      kSkip  bits 2-23: span in words
//
// Writing: load head; if the word there is exactly the free word of that position, exchange it for kBusy; if it is
// taken, help head over its span and look again. Then write the frame behind the word and exchange kBusy for kDone. The
// free word names its position, so a writer that slept through a lap cannot take the word of another one; nor a part of
// a frame, for none has eight bytes of zero, or kFreeMark behind the position. (Of paths full of zeros, which are none,
// a test with eight writers lost some in one run of ten.) A writer that died half way leaves a record of known span and
// owner, which the reader steps over and reports; all other records are whole. Reading: from tail on, while the word is
// kDone or kSkip; copy the frame out; then write the free words of the next lap over the span, then move tail. Whoever
// writes may be hostile: the reader trusts no span or length that it has not checked.
//
// Shared by the preload library (writer) and daemon/ingest (reader). No member may move without a new kProtocol.
#ifndef OCPWATCH_V1_RING_H_
#define OCPWATCH_V1_RING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ocpwatch {

inline constexpr uint32_t kProtocol = 5;
inline constexpr uint64_t kRingMagic = 0x31676e6952706f63;  // "copRing1", little endian

// The longest frame. An argument of exec is at most 128 KiB (MAX_ARG_STRLEN) and argv is cut between arguments, a path
// is at most 4 KiB: 256 KiB hold any frame.
inline constexpr uint32_t kMaxFrame = 256 * 1024;

// 1 MiB is 11 000 frames of 90 bytes: 11 ms at a million a second, before whose half a writer rings. A process pays for
// a page when the ring's head passes over it, and for a page table for each 2 MiB that the mapping touches: with 4 MiB
// a process took 30 us longer on a virtual machine where these are dear, and nothing went faster.
inline constexpr uint64_t kRingDataSize = uint64_t{1} << 20;

inline constexpr uint32_t kMaxFunctions = 512;
inline constexpr uint32_t kReplySlots = 128;
// Two substitutes, or two contents of a store in a deep directory.
inline constexpr uint32_t kReplyBytes = 1024;

enum class WordState : uint64_t { kFree = 0, kBusy = 1, kDone = 2, kSkip = 3 };

inline constexpr uint64_t kSpanBits = 22;
inline constexpr uint64_t kMaxSpan = (uint64_t{1} << kSpanBits) - 1;  // words

constexpr uint64_t MakeWord(WordState state, uint64_t span_words, uint64_t owner_or_bytes) {
  return static_cast<uint64_t>(state) | span_words << 2 | owner_or_bytes << (2 + kSpanBits);
}
// No text has such bytes, and no pointer or time ends with them.
inline constexpr uint64_t kFreeMark = 0xfeff;
constexpr uint64_t FreeWord(uint64_t position, uint64_t data_size) {
  return position < data_size ? 0 : kFreeMark << 48 | position / 8 << 2;
}
constexpr WordState StateOf(uint64_t word) { return static_cast<WordState>(word & 3); }
constexpr uint64_t SpanOf(uint64_t word) { return word >> 2 & kMaxSpan; }
constexpr uint64_t OwnerOrBytesOf(uint64_t word) { return word >> (2 + kSpanBits); }
constexpr uint64_t SpanForFrame(uint64_t frame_bytes) { return 1 + (frame_bytes + 7) / 8; }

enum class RingState : uint32_t {
  kOpen = 0,
  kClosed = 1,     // The session is over (daemon): write nothing more.
  kAbandoned = 2,  // The reader stood still too long (a writer says so): nothing more; the session is incomplete.
};

// What the reader does while it finds nothing; tells a writer whether to ring the doorbell.
enum class ReaderState : uint32_t {
  kAwake = 0,    // It reads, or will look again within kPollInterval: ring only when the ring is half full.
  kPolling = 1,  // It waits for the doorbell or kPollInterval: ring when the ring is half full or an answer is awaited.
  kAsleep = 2,   // It waits for the doorbell alone: ring at once.
};

// Each wake-up takes a core from the command, and more than its own time where a change of address space is dear: one
// `gcc -O2` on a two-core virtual machine took 3 % longer with 4 ms, less than 1 % with 20 (12 rounds, lower quartile;
// in a run with more noise neither could be told from untraced). Who writes half a ring in less rings the doorbell.
inline constexpr int64_t kPollIntervalNs = 20'000'000;
// How long a writer waits for room, or for an answer, while the reader does not move and the daemon's process lives.
inline constexpr int64_t kStallBoundNs = 5'000'000'000;

enum class ReplyState : uint32_t { kUnused = 0, kWaiting = 1, kAnswered = 2 };

struct ReplySlot {
  std::atomic<uint32_t> state;  // ReplyState; a futex: the process waits here while kWaiting.
  uint32_t size;                // Bytes of the answer.
  uint32_t process;             // Who took it.
};

struct RingHeader {
  uint64_t magic;        // kRingMagic
  uint32_t protocol;     // kProtocol
  uint32_t data_offset;  // kRingDataOffset
  uint64_t data_size;    // Bytes, a power of two.
  unsigned char token[16];
  int32_t daemon_pid;
  uint32_t collect_environment;  // 1: Proc and synchronous exec carry the environment (build sessions).

  alignas(64) std::atomic<uint64_t> head;  // Position behind the last taken record.
  alignas(64) std::atomic<uint64_t> tail;  // Position behind the last consumed record.
  std::atomic<uint32_t> state;             // RingState
  alignas(64)
      std::atomic<uint32_t> reader;  // ReaderState; a futex: the reader waits here, a writer that rings sets kAwake.
  alignas(64) std::atomic<uint32_t> room;  // A futex: counts up when tail has moved while somebody waited.
  std::atomic<uint32_t> waiting_for_room;  // Writers that wait.
  alignas(64)
      std::atomic<uint32_t> next_process;  // The next process number; starts at 2, the command's first process is 1.
  std::atomic<uint64_t> lost_frames;       // Not written for want of room.
  std::atomic<uint32_t> file_outputs;      // 1: who waits for a child asks whether he may go on (daemon).

  alignas(64) unsigned char behaviours[kMaxFunctions];  // A Behaviour by FunctionId.
  alignas(64) ReplySlot slots[kReplySlots];
  // A Reply for each slot, valid while that is kAnswered. Apart from the slots, which are all looked at now and then:
  // of what is never answered no page is touched.
  alignas(64) unsigned char replies[kReplySlots][kReplyBytes];
};
static_assert(offsetof(RingHeader, replies) <= 4096, "all that each process touches is in one page");

inline constexpr uint32_t kRingDataOffset = (sizeof(RingHeader) + 4095) / 4096 * 4096;

static_assert(std::atomic<uint64_t>::is_always_lock_free && sizeof(std::atomic<uint64_t>) == 8);
static_assert(std::atomic<uint32_t>::is_always_lock_free && sizeof(std::atomic<uint32_t>) == 4);

// OCP_WATCH, the variable that leads a process to its session; fields are separated by ':', the socket path comes last:
//
//   protocol : daemon pid : ring descriptor in the daemon : token in hex : process number : pid : parent pid :
//   intercept.sock
//
// process number is that of the process to come. pid is its pid where that is known before (exec), else 0; parent pid
// its parent's where pid is 0 (spawn), else 0. A process that finds neither to be its own was started by a program that
// could not be observed: it takes a number of its own and names the one found as its parent (Proc.through_opaque).
inline constexpr char kWatchVariable[] = "OCP_WATCH";

}  // namespace ocpwatch

#endif  // OCPWATCH_V1_RING_H_
