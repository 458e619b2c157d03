#include "daemon/ingest/ring_reader.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <random>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/ingest/futex.h"
#include "tests/unit/ingest/fake_target.h"
#include "tests/unit/ingest/ring_test_writer.h"

namespace ocpwatch {
namespace {

constexpr size_t kAll = 1'000'000;

// Runs `body` in a child that ends by SIGKILL after it.
void InKilledChild(const std::function<void()>& body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    body();
    kill(getpid(), SIGKILL);
    _exit(99);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
}

// Reads until there is nothing more, also nothing that the reader wants to look at again a little later.
void DrainAll(RingReader& reader) {
  for (int i = 0; i < 100; ++i) {
    const uint64_t ends = reader.ends_seen();
    if (reader.Drain(kAll) == 0 && reader.ends_seen() > ends) return;
  }
  FAIL("no end of the ring");
}

}  // namespace

TEST_CASE("Frames come out in the order in which they went in, over many laps of the ring") {
  FakeTarget target(kMinDataSize);
  target.keep = false;
  RingReader reader(target);
  RingTestWriter writer(target.ring(), 1);
  constexpr int kFrames = 100'000;  // Eight laps.
  for (int i = 0; i < kFrames; ++i) {
    REQUIRE(writer.Write(TestFrame(1, i)));
    if (i % 1000 == 0) reader.Drain(kAll);
  }
  DrainAll(reader);
  CHECK(target.count() == kFrames);
  CHECK(target.out_of_order() == 0);
  CHECK(target.damage().empty());
  CHECK(target.ring().header().head == target.ring().header().tail);
}

TEST_CASE("A frame arrives as it was written, with its bytes") {
  FakeTarget target;
  RingReader reader(target);
  RingTestWriter writer(target.ring(), 1);
  v1::Frame frame = TestFrame(1, 0);
  frame.mutable_after()->set_path(std::string("new\nline \xff\x00 nul", 15));
  writer.Write(frame);
  reader.Drain(kAll);
  REQUIRE(target.frames().size() == 1);
  CHECK(target.frames()[0].SerializeAsString() == frame.SerializeAsString());
}

TEST_CASE("A frame may be shorter than the record that was taken for it") {
  FakeTarget target;
  RingReader reader(target);
  RingTestWriter writer(target.ring(), 1);
  for (int i = 0; i < 100; ++i) {
    const std::string bytes = TestFrame(1, i).SerializeAsString();
    RingTestWriter::Reservation taken;
    REQUIRE(writer.Reserve(bytes.size() + static_cast<size_t>(i) * 50, &taken));
    writer.Fill(taken, bytes);
    writer.Commit(taken, bytes.size());
  }
  DrainAll(reader);
  CHECK(target.count() == 100);
  CHECK(target.out_of_order() == 0);
  CHECK(target.damage().empty());
}

TEST_CASE("The longest frame fits, one byte more is refused and disturbs nobody else") {
  FakeTarget target(kMinDataSize);
  RingReader reader(target);
  RingTestWriter writer(target.ring(), 1);
  const uint32_t other = RingTestWriter::TakeNumber(target.ring());
  v1::Frame frame = TestFrame(other, 0);
  for (int i = 0; i < 10; ++i) {
    frame.mutable_after()->set_path("x");
    frame.mutable_after()->clear_argv();
    frame.mutable_after()->add_argv(std::string(kMaxFrame - 200, 'a'));
    frame.mutable_after()->add_argv("");
    frame.mutable_after()->set_argv(1, std::string(kMaxFrame - 2 - frame.ByteSizeLong(), 'b'));
    frame.mutable_after()->mutable_argv(1)->resize(frame.after().argv(1).size() + kMaxFrame - frame.ByteSizeLong(),
                                                   'b');
    REQUIRE(frame.ByteSizeLong() == kMaxFrame);
    frame.mutable_after()->set_result(0);
    REQUIRE(writer.Write(frame));
    reader.Drain(kAll);
  }
  CHECK(target.count() == 10);
  frame.mutable_after()->mutable_argv(1)->push_back('b');
  writer.Write(frame);
  writer.Write(TestFrame(1, 0));
  reader.Drain(kAll);
  REQUIRE(target.damage().size() == 1);
  CHECK(target.count() == 10);
  writer.Write(TestFrame(1, 0));
  DrainAll(reader);
  CHECK(target.count() == 11);
}

TEST_CASE("What a process had committed when it was killed is read, exactly that") {
  std::minstd_rand random(1);  // NOLINT(cert-msc51-cpp)
  for (int round = 0; round < 50; ++round) {
    FakeTarget target(kMinDataSize);
    RingReader reader(target);
    const int calls = static_cast<int>(random() % 1000);
    InKilledChild([&] {
      RingTestWriter writer(target.ring(), 1);
      for (int i = 0; i < calls; ++i) writer.Write(TestFrame(1, i));
    });
    DrainAll(reader);
    CHECK(target.count() == static_cast<uint64_t>(calls));
    CHECK(target.damage().empty());
  }
}

TEST_CASE("A frame written by a killed writer's neighbour is still read") {
  FakeTarget target;
  RingReader reader(target);
  RingTestWriter writer(target.ring(), 1);
  const uint32_t victim = RingTestWriter::TakeNumber(target.ring());
  writer.Write(TestFrame(1, 0));
  InKilledChild([&] {
    RingTestWriter::Reservation taken;
    RingTestWriter(target.ring(), victim).Reserve(100, &taken);
  });
  writer.Write(TestFrame(1, 1));
  reader.Drain(kAll);
  CHECK(target.count() == 1);  // For all the reader knows, the victim may yet finish.
  target.Kill(victim);
  absl::SleepFor(absl::Milliseconds(60));
  DrainAll(reader);
  CHECK(target.count() == 2);
  REQUIRE(target.damage().size() == 1);
  CHECK(target.damage()[0].process == victim);
  CHECK(target.damage()[0].frames == 1);
}

TEST_CASE("A writer killed between its word and head does not hold the others up") {
  FakeTarget target;
  RingReader reader(target);
  RingTestWriter writer(target.ring(), 1);
  const uint64_t at = target.ring().header().head;
  writer.Word(at) = MakeWord(WordState::kBusy, 4, 1);
  SECTION("seen by the reader first") { reader.Drain(kAll); }
  SECTION("seen by a writer first") {}
  writer.Write(TestFrame(1, 0));
  target.Kill(1);
  reader.Drain(kAll);
  absl::SleepFor(absl::Milliseconds(60));
  DrainAll(reader);
  CHECK(target.count() == 1);
  CHECK(target.damage().size() == 1);
}

TEST_CASE("A living writer is waited for while nobody needs its room") {
  FakeTarget target;
  RingReader reader(target);
  RingTestWriter slow(target.ring(), 1);
  const std::string bytes = TestFrame(1, 0).SerializeAsString();
  RingTestWriter::Reservation taken;
  slow.Reserve(bytes.size(), &taken);
  slow.Write(TestFrame(1, 1));
  reader.Drain(kAll);
  absl::SleepFor(absl::Milliseconds(100));
  CHECK(reader.Drain(kAll) == 0);
  slow.Fill(taken, bytes);
  slow.Commit(taken, bytes.size());
  DrainAll(reader);
  CHECK(target.count() == 2);
  CHECK(target.out_of_order() == 0);
  CHECK(target.damage().empty());
}

TEST_CASE("A living writer that stands still in a full ring is passed over, and cannot finish later") {
  FakeTarget target(kMinDataSize);
  RingReader reader(target);
  RingTestWriter slow(target.ring(), 1);
  const uint32_t other = RingTestWriter::TakeNumber(target.ring());
  const std::string bytes = TestFrame(1, 0).SerializeAsString();
  RingTestWriter::Reservation taken;
  slow.Reserve(bytes.size(), &taken);
  std::thread busy([&] {
    RingTestWriter writer(target.ring(), other);
    for (int i = 0; i < 20'000; ++i) writer.Write(TestFrame(other, i));
  });
  const int64_t begin = MonotonicNs();
  while (target.count() < 20'000 && MonotonicNs() - begin < 3 * kBusyBoundNs) {
    if (reader.Drain(kAll) == 0) reader.WaitForWork(kPollIntervalNs);
  }
  busy.join();
  CHECK(MonotonicNs() - begin < kStallBoundNs);
  CHECK(target.count() == 20'000);
  slow.Commit(taken, bytes.size());
  DrainAll(reader);
  CHECK(target.count() == 20'000);
  REQUIRE(target.damage().size() == 1);
  CHECK(target.damage()[0].process == 1);
}

TEST_CASE("A malformed frame ends the stream of its process and nothing else") {
  FakeTarget target;
  RingReader reader(target);
  RingTestWriter writer(target.ring(), 1);
  const uint32_t bad = RingTestWriter::TakeNumber(target.ring());
  RingTestWriter bad_writer(target.ring(), bad);
  bad_writer.Write(TestFrame(bad, 0));
  std::string bytes = TestFrame(bad, 1).SerializeAsString();
  SECTION("torn") { bytes.resize(bytes.size() / 2); }
  SECTION("a length that lies") { bytes[bytes.size() - 40] = '\x7f'; }
  SECTION("a function that does not exist") {
    v1::Frame frame = TestFrame(bad, 1);
    frame.mutable_after()->set_function(kMaxFunctions);
    bytes = frame.SerializeAsString();
  }
  SECTION("no body") { bytes = bytes.substr(0, 11); }
  SECTION("a reply slot that does not exist") {
    v1::Frame frame;
    frame.set_process(bad);
    frame.mutable_before()->set_reply_slot(kReplySlots + 1);
    bytes = frame.SerializeAsString();
  }
  bad_writer.WriteBytes(bytes);
  bad_writer.Write(TestFrame(bad, 1));
  bad_writer.WriteBytes(bytes);
  writer.Write(TestFrame(1, 0));
  DrainAll(reader);
  REQUIRE(target.damage().size() == 1);
  CHECK(target.damage()[0].process == bad);
  const auto frames = target.frames();
  CHECK(frames.front().process() == bad);
  CHECK(frames.back().process() == 1);
  CHECK(frames.size() <= 3);
}

TEST_CASE("A frame of nobody is damage of the session only") {
  FakeTarget target;
  RingReader reader(target);
  RingTestWriter writer(target.ring(), 1);
  SECTION("no bytes at all") { writer.WriteBytes(""); }
  SECTION("not even a process") { writer.WriteBytes("\xff\xff\xff\xff"); }
  SECTION("process 0") { writer.Write(TestFrame(0, 0)); }
  SECTION("a number never given out") { writer.Write(TestFrame(123'456, 0)); }
  writer.Write(TestFrame(1, 0));
  DrainAll(reader);
  REQUIRE(target.damage().size() == 1);
  CHECK(target.damage()[0].process == 0);
  CHECK(target.count() == 1);
}

TEST_CASE("Setting the process counter back silences nobody") {
  FakeTarget target;
  RingReader reader(target);
  const uint32_t process = RingTestWriter::TakeNumber(target.ring());
  RingTestWriter writer(target.ring(), process);
  writer.Write(TestFrame(process, 0));
  DrainAll(reader);
  target.ring().header().next_process = 0;
  writer.Write(TestFrame(process, 1));
  DrainAll(reader);
  CHECK(target.count() == 2);
}

TEST_CASE("Garbage indices are put right, and nothing that was written is lost") {
  FakeTarget target;
  RingReader reader(target);
  RingTestWriter writer(target.ring(), 1);
  for (int i = 0; i < 100; ++i) writer.Write(TestFrame(1, i));
  RingHeader& header = target.ring().header();
  SECTION("a head far ahead") { header.head = uint64_t{1} << 60; }
  SECTION("a head behind") { header.head = 0; }
  SECTION("a head between two words") { header.head = header.head + 3; }
  SECTION("a head inside of a record") { header.head = ~uint64_t{0}; }
  SECTION("a tail anywhere") { header.tail = 0x123456789; }
  DrainAll(reader);
  CHECK(target.count() == 100);
  for (int i = 100; i < 200; ++i) REQUIRE(writer.Write(TestFrame(1, i)));
  DrainAll(reader);
  CHECK(target.count() == 200);
  CHECK(target.out_of_order() == 0);
}

TEST_CASE("A head moved over free words takes what is written behind it along") {
  FakeTarget target;
  RingReader reader(target);
  RingTestWriter writer(target.ring(), 1);
  writer.Write(TestFrame(1, 0));
  target.ring().header().head += 4096;
  writer.Write(TestFrame(1, 1));
  DrainAll(reader);
  CHECK(target.count() == 2);
  CHECK(target.damage().size() == 1);
}

TEST_CASE("Garbage words cost what is pending, not the session") {
  FakeTarget target(kMinDataSize);
  RingReader reader(target);
  RingTestWriter writer(target.ring(), 1);
  for (int i = 0; i < 10; ++i) writer.Write(TestFrame(1, i));
  DrainAll(reader);
  const uint64_t at = target.ring().header().head;
  const uint64_t word = GENERATE(as<uint64_t>{}, MakeWord(WordState::kDone, 0, 10), MakeWord(WordState::kDone, 2, 100),
                                 MakeWord(WordState::kDone, kMaxSpan, 100), MakeWord(WordState::kBusy, kMaxSpan, 1),
                                 MakeWord(WordState::kSkip, 0, 0), MakeWord(WordState::kSkip, kMaxSpan, 0),
                                 MakeWord(WordState::kDone, SpanForFrame(kMaxFrame + 1), kMaxFrame + 1),
                                 FreeWord(uint64_t{1} << 40, kMinDataSize), ~uint64_t{0} << 2);
  SECTION("with records behind it") {
    for (int i = 0; i < 10; ++i) writer.Write(TestFrame(1, i));
  }
  SECTION("at the end") {}
  writer.Word(at) = word;
  DrainAll(reader);
  CHECK(target.damage().size() == 1);
  CHECK(target.damage()[0].process == 0);
  CHECK(target.count() == 10);
  for (int i = 10; i < 30'000; ++i) {
    REQUIRE(writer.Write(TestFrame(1, i)));
    if (i % 1000 == 0) DrainAll(reader);
  }
  DrainAll(reader);
  CHECK(target.count() == 30'000);
  CHECK(target.out_of_order() == 0);
  CHECK(target.damage().size() == 1);
}

TEST_CASE("Frames that could not be written are reported once") {
  FakeTarget target;
  RingReader reader(target);
  target.ring().header().lost_frames += 3;
  reader.Drain(kAll);
  reader.Drain(kAll);
  REQUIRE(target.damage().size() == 1);
  CHECK(target.damage()[0].frames == 3);
  target.ring().header().lost_frames += 2;
  target.ring().header().state = static_cast<uint32_t>(RingState::kAbandoned);
  reader.Drain(kAll);
  reader.Drain(kAll);
  REQUIRE(target.damage().size() == 3);
  CHECK(target.damage()[1].frames == 2);
}

// [.]: run by hand, with the argument "[benchmark]".
TEST_CASE("A million frames a second are read on one core", "[.][benchmark]") {
  FakeTarget target;
  class Trivial final : public IngestTarget, public FrameSink {
   public:
    explicit Trivial(Ring& ring) : ring_(ring) {}
    FrameSink& sink() override { return *this; }
    Ring& ring() override { return ring_; }
    bool ProcessAlive(uint32_t) const override { return true; }
    void OnFrame(const v1::Frame& frame, std::string_view) override { sum += frame.after().path().size(); }
    void OnDamage(uint32_t, std::string_view, uint64_t) override { FAIL("damage"); }
    uint64_t sum = 0;

   private:
    Ring& ring_;
  } trivial(target.ring());
  RingReader reader(trivial);
  RingTestWriter writer(target.ring(), 1);
  const std::string bytes = TestFrame(1, 0).SerializeAsString();
  int64_t spent = 0;
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 20'000; ++i) writer.WriteBytes(bytes);
    const int64_t begin = MonotonicNs();
    REQUIRE(reader.Drain(kAll) >= 20'000);
    spent += MonotonicNs() - begin;
  }
  WARN(bytes.size() << " bytes a frame, " << static_cast<double>(spent) / static_cast<double>(reader.frames())
                    << " ns each");
  CHECK(spent / static_cast<int64_t>(reader.frames()) < 1000);
}

}  // namespace ocpwatch
