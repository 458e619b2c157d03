#include "daemon/session/session.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <ctime>
#include <thread>

#include "daemon/ingest/ring.h"
#include "daemon/session/log_reader.h"
#include "daemon/session/process_liveness.h"
#include "daemon/session/stored_model.h"
#include "tests/unit/session/events.h"

namespace ocpwatch {
namespace {

std::shared_ptr<Session> StartSession(const std::string& log,
                                      std::function<void(const v1::SessionRecord&)> on_change = {}) {
  SessionOptions options;
  options.header = TestHeader();
  options.log_path = log;
  options.on_change = std::move(on_change);
  auto session = Session::Start(std::move(options));
  REQUIRE(session.ok());
  (*session)->Listen();
  return *session;
}

void Deliver(Session& session, const v1::Frame& frame) { session.OnFrame(frame, frame.SerializeAsString()); }

v1::SessionEnd Exited(int status) {
  v1::SessionEnd end;
  end.set_exit_status(status);
  return end;
}

uint64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// A small build: two compilers, a failed look-up, a link, a damaged stream, a child that is killed.
void Build(Session& session) {
  Frames f;
  Deliver(session, f.Image(1, 0x7ffffff0, 0, "/usr/bin/make", {"make"}));
  for (uint32_t child = 2; child < 5; ++child) {
    const auto pid = static_cast<int32_t>(0x7ffffff0 + child);
    Deliver(session, f.Fork(1, child));
    Deliver(session, f.Exec(child, "/opt/cc"));
    Deliver(session, f.After(child, v1::OP_EXEC, "/opt/cc", ENOENT));
    Deliver(session, f.Exec(child, "/usr/bin/cc", child == 4 ? v1::OPAQUE_STATIC : v1::OPAQUE_NONE));
    Deliver(session, f.ForkDone(1, child, pid));
    if (child != 4) {
      Deliver(session, f.Image(child, pid, 1, "/usr/bin/cc", {"cc", "-c"}));
      Deliver(session, f.Open(child, "a" + std::to_string(child) + ".c", O_RDONLY, 3));
      Deliver(session, f.After(child, v1::OP_STAT, "a.h", ENOENT));
      Deliver(session, f.Open(child, "a.o", O_WRONLY | O_CREAT, 4));
      Deliver(session, f.Exit(child, 0));
    }
    if (child != 3) Deliver(session, f.Wait(1, pid, child == 4 ? 9 : 0));
  }
  session.OnDamage(3, "its frame could not be read", 1);
  Deliver(session, f.Exit(1, 0));
}

TEST_CASE("Replaying the log of a live session gives the identical model") {
  TemporaryDirectory directory;
  auto session = StartSession(directory / "log");
  Build(*session);
  const v1::SessionRecord record = session->Finish(Exited(0));
  CHECK(record.state() == v1::SESSION_FINISHED);
  CHECK(record.commands() == 4);
  CHECK(record.processes() == 4);
  CHECK_FALSE(record.truth().complete());
  CHECK(record.truth().notes_size() == 4);
  CHECK(record.log_bytes() == ReadWhole(directory / "log").size());
  std::string live;
  session->WithTrace([&](const Trace& trace) { live = StoreModel(trace).SerializeAsString(); });
  for (auto* load : {&LoadLog, &ReplayLog}) {
    auto log = load(directory / "log");
    REQUIRE(log.ok());
    CHECK(StoreModel((*log)->trace).SerializeAsString() == live);
    const v1::SessionRecord again = MakeRecord(**log, record.log());
    CHECK(again.SerializeAsString() == record.SerializeAsString());
  }
}

TEST_CASE("A running session answers, and its log so far can be read") {
  TemporaryDirectory directory;
  auto session = StartSession(directory / "log");
  Build(*session);
  const v1::SessionRecord record = session->Record();
  CHECK(record.state() == v1::SESSION_RUNNING);
  CHECK(record.commands() == 4);
  CHECK_FALSE(record.has_end());
  CHECK(record.duration_ns() > 0);
  session->FlushLog();
  auto log = LoadLog(directory / "log");
  REQUIRE(log.ok());
  CHECK((*log)->ending == LogEnding::kOpen);
  CHECK((*log)->trace.events == record.events());
}

TEST_CASE("A session lingers while a process that it left behind lives") {
  TemporaryDirectory directory;
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  std::atomic<int> lingering = 0;
  std::atomic<int> finished = 0;
  auto session = StartSession(directory / "log", [&](const v1::SessionRecord& record) {
    lingering += record.state() == v1::SESSION_LINGERING ? 1 : 0;
    finished += record.state() == v1::SESSION_FINISHED ? 1 : 0;
  });
  Frames f;
  v1::Frame first = f.Image(1, 0x7ffffff0, 0, "/bin/sh", {"sh"});
  Deliver(*session, first);
  Deliver(*session, f.Fork(1, 2));
  v1::Frame forked = f.Forked(2, child, 1);
  forked.set_time_ns(NowNs());
  Deliver(*session, forked);
  CHECK(session->ProcessAlive(2));
  CHECK_FALSE(session->ProcessAlive(1));
  CHECK_FALSE(session->ProcessAlive(77));
  CHECK(session->Finish(Exited(0)).state() == v1::SESSION_LINGERING);
  CHECK_FALSE(session->closed());
  Deliver(*session, f.Open(2, "late", O_RDONLY, 3));
  SECTION("until that ends") {
    kill(child, SIGKILL);
    CHECK(session->WaitClosed(absl::Seconds(10)));
  }
  SECTION("or it is told not to") {
    CHECK(session->Finish(Exited(0), /*linger=*/false).state() == v1::SESSION_FINISHED);
    kill(child, SIGKILL);
  }
  waitpid(child, nullptr, 0);
  CHECK(session->closed());
  CHECK(lingering == 1);
  session.reset();
  CHECK(finished == 1);
  auto log = ReplayLog(directory / "log");
  REQUIRE(log.ok());
  CHECK((*log)->trace.commands()[0].uses.size() == 2);
  CHECK((*log)->ending == LogEnding::kComplete);
}

TEST_CASE("A pid that another process has got since is not alive") {
  LiveProcess self{.process = 1, .pid = getpid(), .last_seen_ns = NowNs()};
  CHECK(IsAlive(self));
  self.last_seen_ns = 1;  // Long before this test began.
  CHECK_FALSE(IsAlive(self));
  CHECK_FALSE(IsAlive({.process = 1}));
  CHECK(IsAlive({.process = 1, .pid = 0, .parent_pid = getpid(), .last_seen_ns = NowNs()}));
}

TEST_CASE("A listener hears of commands, and of events only if it wants them") {
  TemporaryDirectory directory;
  auto session = StartSession(directory / "log");
  auto commands = session->Subscribe(false);
  auto events = session->Subscribe(true);
  Build(*session);
  session->Finish(Exited(0));
  int started = 0;
  int ended = 0;
  using Kind = Notification::Kind;
  while (auto next = commands->Next(absl::Seconds(5))) {
    CHECK(next->kind != Kind::kEvent);
    if (next->kind == Kind::kClosed) break;
    (next->kind == Kind::kCommandStarted ? started : ended) += 1;
  }
  CHECK(started == 4);
  CHECK(ended >= 4);
  int told = 0;
  bool saw_path = false;
  while (auto next = events->Next(absl::Seconds(5))) {
    if (next->kind == Kind::kClosed) break;
    if (next->kind != Kind::kEvent) continue;
    ++told;
    saw_path = saw_path || next->path == "/src/a2.c";
  }
  CHECK(static_cast<uint64_t>(told) == session->Record().events());
  CHECK(saw_path);
  CHECK_FALSE(commands->Next(absl::ZeroDuration()).has_value());
  auto late = session->Subscribe(true);
  CHECK(late->Next(absl::ZeroDuration())->kind == Kind::kClosed);
}

TEST_CASE("A listener that does not listen is told how much it has missed, and nobody waits for it") {
  Subscription subscription(true);
  for (size_t i = 0; i < Subscription::kMaxQueued + 100; ++i) subscription.Push({.kind = Notification::Kind::kEvent});
  subscription.Push({.kind = Notification::Kind::kClosed});
  const uint64_t missed = subscription.TakeMissed();
  CHECK(missed >= 100);
  CHECK(subscription.TakeMissed() == 0);
  uint64_t got = 0;
  while (auto next = subscription.Next(absl::ZeroDuration())) {
    if (next->kind == Notification::Kind::kClosed) break;
    ++got;
  }
  CHECK(got + missed == Subscription::kMaxQueued + 100);
}

TEST_CASE("A query is answered while events come as fast as they can") {
  TemporaryDirectory directory;
  auto session = StartSession(directory / "log");
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    Frames f;
    const v1::Frame image = f.Image(1, 0x7ffffff0, 0, "/bin/sh", {"sh"});
    Deliver(*session, image);
    const v1::Frame stat = f.After(1, v1::OP_STAT, "/x");
    const std::string bytes = stat.SerializeAsString();
    while (!stop) session->OnFrame(stat, bytes);
  });
  uint64_t worst_ns = 0;
  for (int i = 0; i < 50; ++i) {
    const uint64_t before = NowNs();
    session->WithTrace([](const Trace&) {});
    worst_ns = std::max(worst_ns, NowNs() - before);
    usleep(2000);
  }
  stop = true;
  writer.join();
  CHECK(worst_ns < 500'000'000);
}

class FullDisk final : public AppendFile {
 public:
  absl::Status Append(std::string_view) override {
    return writes_++ == 0 ? absl::OkStatus() : absl::ResourceExhaustedError("writing log: No space left on device");
  }
  absl::Status Truncate(uint64_t) override { return absl::OkStatus(); }

 private:
  int writes_ = 0;
};

TEST_CASE("A full disk ends the log, not the session") {
  SessionOptions options;
  options.header = TestHeader();
  options.log_file = std::make_unique<FullDisk>();
  auto session = Session::Start(std::move(options));
  REQUIRE(session.ok());
  Frames f;
  Deliver(**session, f.Image(1, 0x7ffffff0, 0, "/bin/sh", {"sh"}));
  (*session)->FlushLog();
  CHECK_FALSE((*session)->Record().truth().complete());
  for (int i = 0; i < 100000; ++i) Deliver(**session, f.After(1, v1::OP_STAT, "/x"));
  const v1::SessionRecord record = (*session)->Finish(Exited(0));
  CHECK(record.events() == 100001);
  CHECK_FALSE(record.truth().complete());
  REQUIRE(record.truth().notes_size() == 1);
  CHECK(record.truth().notes(0) == "The log ends early: writing log: No space left on device.");
}

TEST_CASE("A session that nobody listened to ends like any other, and lets nobody wait") {
  TemporaryDirectory directory;
  SessionOptions options;
  options.header = TestHeader();
  options.log_path = directory / "log";
  auto session = Session::Start(std::move(options));
  REQUIRE(session.ok());
  v1::Decision decision;
  decision.set_reason("never seen");
  (*session)->Note({decision});
  CHECK((*session)->Finish(Exited(3)).state() == v1::SESSION_FINISHED);
  CHECK((*session)->ring().header().state == static_cast<uint32_t>(RingState::kClosed));
  (*session)->Listen();
  const auto log = LoadLog(directory / "log");
  REQUIRE(log.ok());
  CHECK((*log)->trace.end.exit_status() == 3);
}

TEST_CASE("A session whose log cannot be made does not start") {
  SessionOptions options;
  options.header = TestHeader();
  options.log_path = "/nowhere/at/all/1.ocplog";
  const absl::Status status = Session::Start(std::move(options)).status();
  CHECK(status.code() == absl::StatusCode::kNotFound);
}

TEST_CASE("A session that is let go of is closed in good order") {
  TemporaryDirectory directory;
  StartSession(directory / "log").reset();
  auto log = LoadLog(directory / "log");
  REQUIRE(log.ok());
  CHECK((*log)->ending == LogEnding::kComplete);
  CHECK((*log)->trace.end.unknown() == "The daemon gave the session up.");
}

}  // namespace
}  // namespace ocpwatch
