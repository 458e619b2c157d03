#include "daemon/ingest/ring_reader.h"

#include <time.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "daemon/ingest/futex.h"

namespace ocpwatch {
namespace {

// Most unfinished records are finished while we look: some 200 ns.
constexpr int kSpins = 64;
// The writers get to know of room in steps of this many bytes: their cache line of `tail` is touched once in 700
// frames.
constexpr uint64_t kPublishBytes = uint64_t{64} * 1024;
constexpr uint64_t kMaxRecordSpan = SpanForFrame(kMaxFrame) * 8;
// After so many wake-ups for nothing in a row somebody plays with the doorbell.
constexpr int kMaxFruitlessWakes = 16;
constexpr int64_t kBackOffNs = 1'000'000;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void Sleep(int64_t ns) {
  const timespec duration{.tv_sec = 0, .tv_nsec = ns};
  nanosleep(&duration, nullptr);
}

}  // namespace

RingReader::RingReader(IngestTarget& target)
    : target_(target), ring_(target.ring()), header_(ring_.header()), data_size_(ring_.data_size()), replies_(target) {}

size_t RingReader::Drain(size_t max_frames) {
  const std::lock_guard lock(target_.mutex());
  CheckCounters();
  size_t passed = 0;
  Step step = Step::kProgress;
  while (passed < max_frames && (step = ReadRecord()) == Step::kProgress) ++passed;
  replies_.AskAgain();
  PublishTail();
  if (passed > 0) {
    idle_since_ns_ = 0;
    fruitless_wakes_ = 0;
  }
  if (step == Step::kNothing) ends_seen_.fetch_add(1, std::memory_order_release);
  return passed;
}

bool RingReader::Idle() {
  const std::lock_guard lock(target_.mutex());
  return target_.sink().OnIdle();
}

RingReader::Step RingReader::ReadRecord() {
  std::atomic<uint64_t>& state = ring_.Word(tail_);
  const uint64_t word = state.load(std::memory_order_acquire);
  if (StateOf(word) == WordState::kFree) return ReadFree(state);
  uint64_t span = 0;
  if (!SpanIsPossible(word, &span)) return Resynchronise("the ring held a record that cannot be");
  if (StateOf(word) == WordState::kBusy) return ReadBusy(state, word, span);
  if (StateOf(word) == WordState::kDone) Deliver(OwnerOrBytesOf(word));
  Consume(span);
  return Step::kProgress;
}

// Head moves past a record only after its word was taken, so head, read before the word, is tail if the word is free.
RingReader::Step RingReader::ReadFree(std::atomic<uint64_t>& state) {
  uint64_t head = header_.head.load(std::memory_order_acquire);
  uint64_t word = state.load(std::memory_order_acquire);
  if (StateOf(word) != WordState::kFree) return Step::kProgress;  // Taken just now.
  if (word != FreeWord(tail_, data_size_)) return Resynchronise("the ring held a word that cannot be");
  if (head == tail_) return Step::kNothing;

  if (!HeadIsPossible(head)) {
    target_.sink().OnDamage(0, "the ring's head was garbage", 0);
    header_.head.compare_exchange_strong(head, tail_);
    return Step::kProgress;
  }
  // Somebody moved head on. What was written behind it since is whole: the gap becomes a record to be skipped.
  const uint64_t room = std::min(head - tail_, data_size_ - (tail_ & (data_size_ - 1)));
  uint64_t gap = 8;
  while (gap < room && ring_.Word(tail_ + gap).load(std::memory_order_relaxed) == FreeWord(tail_ + gap, data_size_)) {
    gap += 8;
  }
  if (state.compare_exchange_strong(word, MakeWord(WordState::kSkip, gap / 8, 0))) {
    target_.sink().OnDamage(0, "the ring's head was moved over nothing", 0);
  }
  return Step::kProgress;
}

// Known by its owner, dead or alive; given up by exchanging the word, so its writer cannot finish it any more.
RingReader::Step RingReader::ReadBusy(std::atomic<uint64_t>& state, uint64_t word, uint64_t span) {
  for (int i = 0; i < kSpins; ++i) {
    if (state.load(std::memory_order_acquire) != word) return Step::kProgress;
    Pause();
  }
  const int64_t now = MonotonicNs();
  if (busy_word_ != word) {
    busy_word_ = word;
    busy_since_ns_ = now;
  }
  const int64_t age = now - busy_since_ns_;
  if (age < kBusyGraceNs) return Step::kLater;
  const uint64_t owner = OwnerOrBytesOf(word);
  const bool can_be = owner != 0 && owner <= UINT32_MAX;
  const bool give_up = hurry_.load(std::memory_order_relaxed) || (age >= kBusyBoundNs && RoomIsNeeded());
  if (can_be && !give_up && target_.ProcessAlive(static_cast<uint32_t>(owner))) return Step::kLater;

  if (!state.compare_exchange_strong(word, MakeWord(WordState::kSkip, span / 8, 0))) return Step::kProgress;
  target_.sink().OnDamage(can_be ? static_cast<uint32_t>(owner) : 0, "a frame was begun and not finished", 1);
  Consume(span);
  return Step::kProgress;
}

bool RingReader::HeadIsPossible(uint64_t head) const {
  return head % 8 == 0 && head >= tail_ && head - tail_ <= data_size_;
}

bool RingReader::SpanIsPossible(uint64_t word, uint64_t* span) {
  const uint64_t words = SpanOf(word);
  *span = words * 8;
  if (words == 0 || (tail_ & (data_size_ - 1)) + *span > data_size_) return false;
  if (StateOf(word) != WordState::kSkip && *span > kMaxRecordSpan) return false;
  // The writer may have taken more room than its frame needed in the end.
  if (StateOf(word) == WordState::kDone) {
    const uint64_t bytes = OwnerOrBytesOf(word);
    if (bytes > kMaxFrame || SpanForFrame(bytes) > words) return false;
  }
  if (known_head_ >= tail_ + *span) return true;

  uint64_t head = header_.head.load(std::memory_order_acquire);
  // Its writer, or who came after it, has yet to move head; we may not leave head behind.
  if (head == tail_ && header_.head.compare_exchange_strong(head, tail_ + *span)) head = tail_ + *span;
  // A head that cannot be does not speak against the record; ReadFree puts it right.
  if (!HeadIsPossible(head)) return true;
  if (head < tail_ + *span) return false;
  known_head_ = head;
  return true;
}

void RingReader::Deliver(uint64_t bytes) {
  const unsigned char* from = ring_.data() + (tail_ & (data_size_ - 1)) + 8;
  copy_.assign(reinterpret_cast<const char*>(from), bytes);
  const v1::Frame* frame = decoder_.Decode(copy_);
  if (frame == nullptr) return EndStream(decoder_.process(), decoder_.reason());
  const uint32_t process = frame->process();
  if (!ended_.empty() && ended_.contains(process)) return;
  if (!NumberWasGivenOut(process)) {
    target_.sink().OnDamage(0, absl::StrCat("a frame of process ", process, ", a number never given out"), 1);
    return;
  }
  frames_.store(frames_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  target_.sink().OnFrame(*frame, copy_);
  if (frame->has_before() && frame->before().reply_slot() != 0 && !replies_.Answer(*frame)) {
    EndStream(process, "a reply slot that does not exist");
  }
}

void RingReader::EndStream(uint32_t process, std::string_view why) {
  if (process != 0 && ended_.contains(process)) return;
  if (process != 0 && ended_.size() < kMaxEndedProcesses) ended_.insert(process);
  target_.sink().OnDamage(process, why, 1);
}

bool RingReader::NumberWasGivenOut(uint32_t process) {
  // The greatest value ever seen: somebody may set it back.
  if (process >= given_out_) {
    given_out_ = std::max<uint64_t>(given_out_, header_.next_process.load(std::memory_order_relaxed));
  }
  return process < given_out_;
}

void RingReader::Consume(uint64_t span) {
  busy_word_ = 0;
  FreeForNextLap(span);
  tail_ += span;
  if (tail_ - published_tail_ >= kPublishBytes) PublishTail();
}

void RingReader::FreeForNextLap(uint64_t span) {
  for (uint64_t position = tail_; position < tail_ + span; position += 8) {
    ring_.Word(position).store(FreeWord(position + data_size_, data_size_), std::memory_order_relaxed);
  }
}

void RingReader::PublishTail() {
  // The second is somebody else's doing: writers would find the ring full for ever.
  if (tail_ == published_tail_ && header_.tail.load(std::memory_order_relaxed) == tail_) return;
  published_tail_ = tail_;
  position_.store(tail_, std::memory_order_release);
  header_.tail.store(tail_, std::memory_order_seq_cst);
  if (header_.waiting_for_room.load(std::memory_order_seq_cst) == 0) return;
  header_.room.fetch_add(1, std::memory_order_seq_cst);
  FutexWakeAll(header_.room);
}

RingReader::Step RingReader::Resynchronise(std::string_view why) {
  target_.sink().OnDamage(0, why, 0);
  const uint64_t head = header_.head.load(std::memory_order_acquire);
  if (HeadIsPossible(head) && head > tail_) {
    Consume(head - tail_);
  } else {
    BeginNewLap();
  }
  PublishTail();
  back_off_ = true;
  return Step::kLater;
}

// Every word becomes the free word of a lap that nobody has seen: what is still being written cannot take one of them.
void RingReader::BeginNewLap() {
  const uint64_t start = (tail_ / data_size_ + 1) * data_size_;
  tail_ = start - data_size_;
  FreeForNextLap(data_size_);
  tail_ = start;
  known_head_ = start;
  busy_word_ = 0;
  PublishTail();
  header_.head.store(start, std::memory_order_seq_cst);
}

void RingReader::CheckCounters() {
  const uint64_t lost = header_.lost_frames.load(std::memory_order_relaxed);
  if (lost > seen_lost_frames_) {
    target_.sink().OnDamage(0, "frames were not written for want of room", lost - seen_lost_frames_);
  }
  seen_lost_frames_ = lost;
  if (!seen_abandoned_ &&
      header_.state.load(std::memory_order_relaxed) == static_cast<uint32_t>(RingState::kAbandoned)) {
    seen_abandoned_ = true;
    target_.sink().OnDamage(0, "the daemon stood still for too long; a process stopped the recording", 0);
  }
}

bool RingReader::RoomIsNeeded() {
  const uint64_t head = header_.head.load(std::memory_order_relaxed);
  return header_.waiting_for_room.load(std::memory_order_relaxed) != 0 || head - tail_ > data_size_ / 2;
}

bool RingReader::SomethingAtTail() {
  const uint64_t word = ring_.Word(tail_).load(std::memory_order_seq_cst);
  if (busy_word_ != 0) return word != busy_word_;
  return word != FreeWord(tail_, data_size_) || header_.head.load(std::memory_order_relaxed) != tail_;
}

void RingReader::WaitForWork(int64_t timeout_ns) {
  if (back_off_ || fruitless_wakes_ > kMaxFruitlessWakes) Sleep(kBackOffNs);
  back_off_ = false;
  const int64_t now = MonotonicNs();
  if (idle_since_ns_ == 0) idle_since_ns_ = now;
  // An unfinished record is looked at again by the clock: its writer has no reason to ring.
  const bool poll = busy_word_ != 0 || now - idle_since_ns_ < kFallAsleepNs;
  const auto waiting = static_cast<uint32_t>(poll ? ReaderState::kPolling : ReaderState::kAsleep);
  if (replies_.anybody_waits()) timeout_ns = kAskAgainNs;
  if (poll && (timeout_ns < 0 || timeout_ns > kPollIntervalNs)) timeout_ns = kPollIntervalNs;

  // Who commits a record after this finds out that he has to ring; who did before is found by SomethingAtTail.
  header_.reader.store(waiting, std::memory_order_seq_cst);
  if (!interrupted_.load(std::memory_order_seq_cst) && !SomethingAtTail()) {
    FutexWait(header_.reader, waiting, timeout_ns);
    if (header_.reader.load(std::memory_order_relaxed) != waiting) ++fruitless_wakes_;  // Unless Drain finds something.
  }
  header_.reader.store(static_cast<uint32_t>(ReaderState::kAwake), std::memory_order_seq_cst);
  interrupted_.store(false, std::memory_order_seq_cst);
}

void RingReader::Interrupt() {
  interrupted_.store(true, std::memory_order_seq_cst);
  header_.reader.store(static_cast<uint32_t>(ReaderState::kAwake), std::memory_order_seq_cst);
  FutexWakeAll(header_.reader);
}

}  // namespace ocpwatch
