// A writer of frames that follows ocpwatch/v1/ring.h, for tests: by threads and by forked processes, and in pieces, so
// that a test can stop anywhere in between. The writer of real processes is preload/runtime; this one shares no line
// with it.
#ifndef OCPWATCH_TESTS_UNIT_INGEST_RING_TEST_WRITER_H_
#define OCPWATCH_TESTS_UNIT_INGEST_RING_TEST_WRITER_H_

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "daemon/ingest/futex.h"
#include "daemon/ingest/ring.h"
#include "ocpwatch/v1/intercept.pb.h"
#include "ocpwatch/v1/ring.h"

namespace ocpwatch {

// How soon it is noticed that the session is over.
inline constexpr int64_t kAnswerStepNs = 100'000'000;

class RingTestWriter {
 public:
  // A record that was taken: its word says kBusy.
  struct Reservation {
    uint64_t position = 0;
    uint64_t span = 0;  // Bytes.
    uint64_t word = 0;
  };

  RingTestWriter(Ring& ring, uint32_t process)
      : header_(&ring.header()), data_(ring.data()), size_(ring.data_size()), process_(process) {}

  // A process number for a new process of the session.
  static uint32_t TakeNumber(Ring& ring) { return ring.header().next_process.fetch_add(1); }

  uint32_t process() const { return process_; }

  // False if the ring was closed.
  bool Write(const v1::Frame& frame) { return WriteBytes(frame.SerializeAsString()); }

  bool WriteBytes(std::string_view bytes) {
    Reservation taken;
    if (!Reserve(bytes.size(), &taken)) return false;
    Fill(taken, bytes);
    Commit(taken, bytes.size());
    return true;
  }

  // Takes a record for `bytes` bytes; waits for room.
  bool Reserve(uint64_t bytes, Reservation* taken) {
    const uint64_t span = SpanForFrame(bytes) * 8;
    while (header_->state.load() == static_cast<uint32_t>(RingState::kOpen)) {
      uint64_t head = header_->head.load(std::memory_order_acquire);
      const uint64_t to_end = size_ - (head & (size_ - 1));
      const bool skip = to_end < span;
      const uint64_t take = skip ? to_end : span;
      const uint64_t tail = header_->tail.load(std::memory_order_acquire);
      if (head + take - tail > size_) {
        WaitForRoom(head, take);
        continue;
      }
      uint64_t word = FreeWord(head, size_);
      const uint64_t ours =
          skip ? MakeWord(WordState::kSkip, take / 8, 0) : MakeWord(WordState::kBusy, take / 8, process_);
      if (Word(head).compare_exchange_strong(word, ours)) {
        uint64_t expected = head;
        header_->head.compare_exchange_strong(expected, head + take);
        if (skip) continue;
        *taken = {.position = head, .span = span, .word = ours};
        return true;
      }
      // Taken: its writer may have been killed before it moved head.
      if (StateOf(word) != WordState::kFree && SpanOf(word) != 0) {
        header_->head.compare_exchange_strong(head, head + SpanOf(word) * 8);
      } else if (header_->head.load() == head) {
        WakeReader();  // The word is garbage: the reader puts it right.
      }
    }
    return false;
  }

  void Fill(const Reservation& taken, std::string_view bytes) {
    memcpy(data_ + (taken.position & (size_ - 1)) + 8, bytes.data(), bytes.size());
  }

  void Commit(const Reservation& taken, uint64_t bytes) {
    uint64_t busy = taken.word;
    Word(taken.position).compare_exchange_strong(busy, MakeWord(WordState::kDone, taken.span / 8, bytes));
    const uint32_t reader = header_->reader.load();
    const bool half_full = taken.position + taken.span - header_->tail.load() > size_ / 2;
    if (reader == static_cast<uint32_t>(ReaderState::kAsleep) || half_full) WakeReader();
  }

  // Writes `frame`, which gets a reply slot, and waits for the answer. Empty: there is no slot, or no answer in time.
  v1::Reply Ask(v1::Frame frame) {
    v1::Reply reply;
    for (uint32_t i = 0; i < kReplySlots; ++i) {
      ReplySlot& slot = header_->slots[i];
      uint32_t unused = static_cast<uint32_t>(ReplyState::kUnused);
      if (!slot.state.compare_exchange_strong(unused, static_cast<uint32_t>(ReplyState::kWaiting))) continue;
      std::atomic_ref(slot.process).store(process_);
      frame.mutable_before()->set_reply_slot(i + 1);
      Write(frame);
      WakeReader();
      while (slot.state.load() == static_cast<uint32_t>(ReplyState::kWaiting)) {
        FutexWait(slot.state, static_cast<uint32_t>(ReplyState::kWaiting), kAnswerStepNs);
        // As the preload does: who asks after the end gets no answer.
        if (header_->state.load() != static_cast<uint32_t>(RingState::kOpen) &&
            slot.state.load() == static_cast<uint32_t>(ReplyState::kWaiting)) {
          return reply;
        }
      }
      reply.ParseFromArray(header_->replies[i], static_cast<int>(slot.size));
      slot.state.store(static_cast<uint32_t>(ReplyState::kUnused));
      break;
    }
    return reply;
  }

  std::atomic<uint64_t>& Word(uint64_t position) {
    return *reinterpret_cast<std::atomic<uint64_t>*>(data_ + (position & (size_ - 1)));
  }

 private:
  void WakeReader() {
    if (header_->reader.exchange(static_cast<uint32_t>(ReaderState::kAwake)) !=
        static_cast<uint32_t>(ReaderState::kAwake)) {
      FutexWakeAll(header_->reader);
    }
  }

  void WaitForRoom(uint64_t head, uint64_t take) {
    header_->waiting_for_room.fetch_add(1);
    const uint32_t seen = header_->room.load();
    const bool still_full = head + take - header_->tail.load() > size_;
    if (still_full && header_->state.load() == static_cast<uint32_t>(RingState::kOpen)) {
      WakeReader();
      FutexWait(header_->room, seen, kStallBoundNs);
    }
    header_->waiting_for_room.fetch_sub(1);
  }

  RingHeader* const header_;
  unsigned char* const data_;
  const uint64_t size_;
  const uint32_t process_;
};

// As it goes over the socket.
inline std::string Delimited(const v1::Frame& frame) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::util::SerializeDelimitedToZeroCopyStream(frame, &stream);
  return bytes;
}

// A small frame of `process`: the AfterCall of a stat, `serial` in its result.
inline v1::Frame TestFrame(uint32_t process, int64_t serial) {
  v1::Frame frame;
  frame.set_process(process);
  frame.set_time_ns(static_cast<uint64_t>(serial) + 1'000'000'000'000);
  v1::AfterCall& after = *frame.mutable_after();
  after.set_function(17);
  after.set_path("/usr/include/x86_64-linux-gnu/bits/types.h");
  after.set_fd(-100);
  after.set_result(serial);
  after.mutable_stat()->set_dev(2049);
  after.mutable_stat()->set_ino(1234567);
  after.mutable_stat()->set_mode(0100644);
  after.mutable_stat()->set_size(4096);
  after.mutable_stat()->set_mtime_ns(1'700'000'000'123'456'789);
  after.mutable_stat()->set_ctime_ns(1'700'000'000'123'456'789);
  return frame;
}

}  // namespace ocpwatch

#endif  // OCPWATCH_TESTS_UNIT_INGEST_RING_TEST_WRITER_H_
