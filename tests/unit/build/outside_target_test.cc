#include "daemon/build/outside_target.h"

#include <limits.h>
#include <sys/socket.h>

#include <thread>

#include "tests/unit/build/relay_world.h"

namespace ocpwatch {
namespace {

Ends MakeSocket(int type = SOCK_STREAM) {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::unique_ptr<OutsideTarget> Borrow(const UniqueFd& fd) {
  signal(SIGPIPE, SIG_IGN);
  absl::StatusOr<std::unique_ptr<OutsideTarget>> target =
      OutsideTarget::Borrow(getpid(), fd.get(), *Place::Of(fd.get()));
  INFO(target.status());
  REQUIRE(target.ok());
  return *std::move(target);
}

// More than a pipe, a socket or a terminal holds, and no line is like another.
std::string LongText() {
  std::string text;
  for (int i = 0; text.size() < 1'000'000; ++i) absl::StrAppend(&text, i, "\n");
  return text;
}

void CheckThatAllArrives(const Ends& ends) {
  const auto target = Borrow(ends.write);
  const std::string expected = LongText();
  target->Write(expected);
  CHECK(target->pending() > 0);
  CHECK((fcntl(ends.write.get(), F_GETFL) & O_NONBLOCK) == 0);
  std::string arrived;
  while (arrived.size() < expected.size() && Readable(ends.read, 10'000)) {
    char buffer[16384];
    const ssize_t got = read(ends.read.get(), buffer, sizeof buffer);
    if (got <= 0) break;
    arrived.append(buffer, static_cast<size_t>(got));
    target->Flush();
  }
  CHECK(arrived == expected);
  CHECK(target->pending() == 0);
  CHECK_FALSE(target->dead());
}

TEST_CASE("A borrowed pipe takes what it has room for, and gets the rest later") { CheckThatAllArrives(MakePipe()); }

TEST_CASE("A socket takes what it has room for, and gets the rest later") { CheckThatAllArrives(MakeSocket()); }

TEST_CASE("All arrives at a borrowed terminal") {
  const Ends ends = MakeTerminal();
  const auto target = Borrow(ends.write);
  std::string expected;
  for (const char each : LongText()) expected += each == '\n' ? "\r\n" : std::string(1, each);
  std::string arrived;
  std::thread reader([&] { arrived = Get(ends.read, expected.size()); });
  target->Write(LongText());
  while (target->pending() > 0) target->Flush();
  reader.join();
  CHECK(arrived == expected);
  CHECK((fcntl(ends.write.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("Who borrows a pipe does not change it for those who have it") {
  const Ends ends = MakePipe();
  const auto target = Borrow(ends.write);
  target->Write(std::string(PIPE_BUF, 'x'));
  Put(ends.write, "after");
  CHECK(Get(ends.read, PIPE_BUF + 5) == std::string(PIPE_BUF, 'x') + "after");
}

TEST_CASE("What is borrowed and not read any more is dead") {
  for (const bool socket : {false, true}) {
    Ends ends = socket ? MakeSocket() : MakePipe();
    const auto target = Borrow(ends.write);
    const auto full = Borrow(ends.write);
    full->Write(LongText());
    ends.read.reset();
    target->Write("x");
    CHECK(target->dead());
    full->Flush();
    CHECK(full->dead());
    CHECK(full->pending() == 0);
    CHECK_FALSE(OutsideTarget::Open(getpid(), ends.write.get(), *Place::Of(ends.write.get())).ok());
  }
}

TEST_CASE("A socket whose messages have ends is left to the command") {
  const Ends ends = MakeSocket(SOCK_SEQPACKET);
  CHECK_FALSE(OutsideTarget::Open(getpid(), ends.write.get(), *Place::Of(ends.write.get())).ok());
}

TEST_CASE("What commands write to a socket is recorded and arrives") {
  Client client(2);
  const auto relay = client.NewRelay();
  Ends outside = MakeSocket();
  Command command(outside.write.get(), "seq 20000; echo end >&2");
  const Relay::Stream stream = MustOpen(relay.get(), command.pid(), 1);
  outside.write.reset();
  command.Go(stream.path);
  const std::string arrived = Get(outside.read);
  CHECK(command.Wait() == 0);
  const Relay::Recorded recorded = relay->Finish(stream.id, absl::Seconds(10));
  CHECK(recorded.complete());
  CHECK(recorded.size == arrived.size());
  CHECK(arrived.ends_with("20000\nend\n"));
}

}  // namespace
}  // namespace ocpwatch
