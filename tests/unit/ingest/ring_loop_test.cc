#include "daemon/ingest/ring_loop.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <random>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/ingest/futex.h"
#include "tests/unit/ingest/fake_target.h"
#include "tests/unit/ingest/ring_test_writer.h"

namespace ocpwatch {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

bool ReaderIs(Ring& ring, ReaderState state) { return ring.header().reader.load() == static_cast<uint32_t>(state); }

int64_t ContextSwitches() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nvcsw;
}

v1::Frame Question(uint32_t process, int exit_status) {
  v1::Frame frame;
  frame.set_process(process);
  frame.mutable_before()->set_function(1);
  frame.mutable_before()->set_value(exit_status);
  return frame;
}

}  // namespace

TEST_CASE("Eight processes that write at once lose nothing, and each keeps its order") {
  FakeTarget target(kMinDataSize);
  target.keep = false;
  constexpr int kWriters = 8;
  constexpr uint64_t kFrames = 50'000;
  std::vector<pid_t> children;
  for (int i = 0; i < kWriters; ++i) {
    const uint32_t process = RingTestWriter::TakeNumber(target.ring());
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      RingTestWriter writer(target.ring(), process);
      for (int serial = 0; serial < static_cast<int>(kFrames); ++serial) {
        v1::Frame frame = TestFrame(process, serial);
        frame.mutable_after()->mutable_path()->resize(static_cast<size_t>(serial * 7 % 200), 'x');
        writer.Write(frame);
      }
      _exit(0);
    }
    children.push_back(child);
  }
  RingLoop loop(target);
  for (const pid_t child : children) {
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  CHECK(loop.Flush(10 * kSecondNs));
  CHECK(target.count() == kWriters * kFrames);
  CHECK(target.out_of_order() == 0);
  CHECK(target.damage().empty());
  CHECK(loop.frames() == kWriters * kFrames);
}

TEST_CASE("Threads that write at once lose nothing") {
  FakeTarget target(kMinDataSize);
  target.keep = false;
  RingLoop loop(target);
  constexpr uint64_t kFrames = 20'000;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const uint32_t process = RingTestWriter::TakeNumber(target.ring());
      RingTestWriter writer(target.ring(), process);
      for (int serial = 0; serial < static_cast<int>(kFrames); ++serial) writer.Write(TestFrame(process, serial));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(loop.Flush(10 * kSecondNs));
  CHECK(target.count() == 4 * kFrames);
  CHECK(target.out_of_order() == 0);
  CHECK(target.damage().empty());
}

TEST_CASE("What can wait is done once there is nothing to read") {
  FakeTarget target;
  target.SetIdleWork(3);
  RingTestWriter writer(target.ring(), 1);
  for (int serial = 0; serial < 100; ++serial) writer.Write(TestFrame(1, serial));
  RingLoop loop(target);
  const int64_t deadline = MonotonicNs() + 10 * kSecondNs;
  while (target.idle_work() > 0 && MonotonicNs() < deadline) std::this_thread::yield();
  CHECK(target.idle_work() == 0);
  CHECK(target.frames_before_idle_work() == 100);
}

TEST_CASE("An idle session costs no wake-ups, and the first frame after it comes at once") {
  FakeTarget target;
  RingLoop loop(target);
  RingTestWriter writer(target.ring(), 1);
  writer.Write(TestFrame(1, 0));
  absl::SleepFor(absl::Milliseconds(50));
  CHECK(target.count() == 1);  // Within a poll interval, without a doorbell.
  const int64_t deadline = MonotonicNs() + 5 * kSecondNs;
  while (!ReaderIs(target.ring(), ReaderState::kAsleep) && MonotonicNs() < deadline)
    absl::SleepFor(absl::Milliseconds(5));
  REQUIRE(ReaderIs(target.ring(), ReaderState::kAsleep));
  const int64_t before = ContextSwitches();
  absl::SleepFor(absl::Milliseconds(300));
  CHECK(ContextSwitches() - before < 10);
  for (int i = 1; i < 20; ++i) {
    writer.Write(TestFrame(1, i));
    while (target.count() <= static_cast<uint64_t>(i) && MonotonicNs() < deadline)
      absl::SleepFor(absl::Milliseconds(1));
    absl::SleepFor(absl::Milliseconds(i == 10 ? 250 : 1));
  }
  CHECK(target.count() == 20);
}

TEST_CASE("A synchronous call gets the decider's answer, after the sink has had the frame") {
  FakeTarget target;
  RingLoop loop(target);
  RingTestWriter writer(target.ring(), 1);
  for (int i = 0; i < 300; ++i) {  // More than there are slots.
    const v1::Reply reply = writer.Ask(Question(1, i % 3));
    REQUIRE(reply.has_proceed() == (i % 3 == 0));
    REQUIRE(reply.kill().exit_status() == i % 3);
    REQUIRE(target.count() == static_cast<uint64_t>(i) + 1);
  }
}

TEST_CASE("Who gets no answer at once waits, and others are answered meanwhile") {
  FakeTarget target;
  RingLoop loop(target);
  target.AnswerLater(50);
  std::atomic<bool> answered{false};
  std::thread patient([&] {
    RingTestWriter writer(target.ring(), 1);
    CHECK(writer.Ask(Question(1, 7)).kill().exit_status() == 7);
    answered = true;
  });
  while (target.count() == 0) absl::SleepFor(absl::Milliseconds(1));
  RingTestWriter other(target.ring(), 1);
  int served = 0;
  while (!answered) served += other.Ask(Question(1, 3)).kill().exit_status() == 3 ? 1 : 0;
  CHECK(served > 0);
  patient.join();
  CHECK(target.damage().empty());
}

TEST_CASE("Who is answered early goes on while the decider is at work, and is answered once") {
  FakeTarget target;
  const ReplySlot& slot = target.ring().header().slots[0];
  int asked_again = 0;
  target.after_early = [&] {
    const int64_t deadline = MonotonicNs() + (asked_again < 2 ? 5 * kSecondNs : 0);
    while (slot.state.load() != static_cast<uint32_t>(ReplyState::kWaiting) && MonotonicNs() < deadline) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    asked_again += slot.state.load() == static_cast<uint32_t>(ReplyState::kWaiting) ? 1 : 0;
  };
  {
    RingLoop loop(target);
    RingTestWriter writer(target.ring(), 1);
    for (const int answer : {5, 6, 7}) CHECK(writer.Ask(Question(1, answer)).kill().exit_status() == answer);
  }
  CHECK(asked_again == 2);
}

TEST_CASE("Not everybody waits: slots are left for those who can be answered") {
  FakeTarget target;
  RingLoop loop(target);
  target.AnswerLater(1 << 30);
  std::atomic<uint32_t> answered{0};
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < kReplySlots; ++i) {
    threads.emplace_back([&] {
      RingTestWriter writer(target.ring(), 1);
      writer.Ask(Question(1, 1));
      ++answered;
    });
  }
  const int64_t deadline = MonotonicNs() + 60 * kSecondNs;
  while (answered < kReplySlots / 2 && MonotonicNs() < deadline) absl::SleepFor(absl::Milliseconds(1));
  CHECK(answered >= kReplySlots / 2);
  target.AnswerLater(0);
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("Threads and a session that ends: everybody who waits for an answer goes on") {
  FakeTarget target;
  std::vector<std::thread> threads;
  {
    RingLoop loop(target);
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        RingTestWriter writer(target.ring(), 1);
        while (target.ring().header().state == static_cast<uint32_t>(RingState::kOpen)) writer.Ask(Question(1, 0));
      });
    }
    absl::SleepFor(absl::Milliseconds(50));
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(target.damage().empty());
}

TEST_CASE("A dead process gives its reply slot back") {
  FakeTarget target;
  RingReader reader(target);
  const uint32_t dead = RingTestWriter::TakeNumber(target.ring());
  ReplySlot& slot = target.ring().header().slots[0];
  slot.process = dead;
  slot.state = static_cast<uint32_t>(ReplyState::kWaiting);
  ReplySlot& living = target.ring().header().slots[1];
  living.process = 1;
  living.state = static_cast<uint32_t>(ReplyState::kWaiting);
  target.Kill(dead);
  reader.ReapReplySlots();
  CHECK(slot.state == static_cast<uint32_t>(ReplyState::kWaiting));
  reader.ReapReplySlots();
  CHECK(slot.state == static_cast<uint32_t>(ReplyState::kUnused));
  CHECK(living.state == static_cast<uint32_t>(ReplyState::kWaiting));
}

TEST_CASE("An answer is not written into a slot of somebody else") {
  FakeTarget target;
  RingReader reader(target);
  RingTestWriter writer(target.ring(), 1);
  ReplySlot& slot = target.ring().header().slots[0];
  slot.process = 77;
  slot.state = static_cast<uint32_t>(ReplyState::kWaiting);
  v1::Frame frame = Question(1, 5);
  frame.mutable_before()->set_reply_slot(1);
  writer.Write(frame);
  reader.Drain(10);
  CHECK(target.count() == 1);
  CHECK(slot.state == static_cast<uint32_t>(ReplyState::kWaiting));
}

TEST_CASE("Stop delivers what was written before it, and steps over what is not finished") {
  FakeTarget target;
  RingLoop loop(target);
  RingTestWriter writer(target.ring(), 1);
  const uint32_t slow = RingTestWriter::TakeNumber(target.ring());
  RingTestWriter::Reservation taken;
  RingTestWriter(target.ring(), slow).Reserve(100, &taken);
  // Less than the ring holds: nobody waits for room.
  for (int i = 0; i < 4'000; ++i) writer.Write(TestFrame(1, i));
  CHECK_FALSE(loop.Flush(20'000'000));
  const int64_t begin = MonotonicNs();
  loop.Stop();
  CHECK(MonotonicNs() - begin < kSecondNs);
  CHECK(target.count() == 4'000);
  REQUIRE(target.damage().size() == 1);
  CHECK(target.damage()[0].process == slow);
  CHECK_FALSE(writer.Write(TestFrame(1, 4'000)));
}

TEST_CASE("While somebody scribbles over words and indices the reader goes on, and afterwards all is well") {
  FakeTarget target(kMinDataSize);
  target.keep = false;
  RingLoop loop(target);
  RingHeader& header = target.ring().header();
  std::minstd_rand random(1);  // NOLINT(cert-msc51-cpp)
  const auto word = [&] {
    return static_cast<uint64_t>(random()) << 33 ^ static_cast<uint64_t>(random()) << 3 ^ random();
  };
  for (int i = 0; i < 3000; ++i) {
    switch (random() % 4) {
      case 0:
        header.head = random() % 2 == 0 ? word() : random() % (4 * kMinDataSize);
        break;
      case 1:
        header.tail = word();
        break;
      case 2:
        header.next_process = static_cast<uint32_t>(word());
        break;
      default: {
        const uint64_t at = random() % 3 == 0 ? header.head.load() : word() % kMinDataSize;
        target.ring().Word(at & ~uint64_t{7}) = word();
      }
    }
    if (i % 100 == 0) absl::SleepFor(absl::Milliseconds(1));
  }
  CHECK(loop.Flush(10 * kSecondNs));
  header.next_process = 1'000'000;
  // The words that nobody has come by yet are found lap by lap.
  RingTestWriter writer(target.ring(), 1);
  const int64_t deadline = MonotonicNs() + 20 * kSecondNs;
  size_t damage = 0;
  do {
    damage = target.damage().size();
    std::thread lap([&] {
      for (int i = 0; i < 20'000; ++i) writer.Write(TestFrame(1, i));
    });
    lap.join();
    CHECK(loop.Flush(10 * kSecondNs));
  } while (target.damage().size() != damage && MonotonicNs() < deadline);
  const uint64_t count = target.count();
  for (int i = 0; i < 1000; ++i) writer.Write(TestFrame(1, i));
  CHECK(loop.Flush(10 * kSecondNs));
  CHECK(target.count() == count + 1000);
}

}  // namespace ocpwatch
