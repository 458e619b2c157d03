#include "daemon/build/relay.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "tests/unit/build/relay_world.h"

namespace ocpwatch {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);

std::string FileText(const Relay::Recorded& recorded) {
  std::string text(recorded.size, '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t got = pread(recorded.file.get(), text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  text.resize(done);
  return text;
}

TEST_CASE("What a command writes is recorded and arrives, and its end is the reader's end of file") {
  Client client(2);
  const auto relay = client.NewRelay();
  Ends outside = MakePipe();
  Command command(outside.write.get(), "echo one; echo two >&2; echo three");
  const Relay::Stream stream = MustOpen(relay.get(), command.pid(), 1);
  outside.write.reset();
  command.Go(stream.path);
  // Before Finish: the reader may be what the command's parent waits for.
  CHECK(Get(outside.read) == "one\ntwo\nthree\n");
  CHECK(command.Wait() == 0);
  const Relay::Recorded recorded = relay->Finish(stream.id, kPatience);
  CHECK(recorded.bytes == "one\ntwo\nthree\n");
  CHECK(recorded.size == 14);
  CHECK(recorded.complete());
  CHECK(relay->open() == 0);
}

TEST_CASE("A silent command is complete and nothing is forwarded") {
  Client client(1);
  const auto relay = client.NewRelay();
  Ends outside = MakePipe();
  Command command(outside.write.get(), ":");
  const Relay::Stream stream = MustOpen(relay.get(), command.pid(), 1);
  outside.write.reset();
  command.Go(stream.path);
  command.Wait();
  const Relay::Recorded recorded = relay->Finish(stream.id, kPatience);
  CHECK(recorded.size == 0);
  CHECK(recorded.complete());
  CHECK(Get(outside.read).empty());
}

TEST_CASE("A command that could not open its stream is not taken for a silent one") {
  Client client(1);
  const auto relay = client.NewRelay();
  Ends outside = MakePipe();
  for (int i = 0; i < 3; ++i) {
    Command command(outside.write.get(), "echo unseen");
    const Relay::Stream stream = MustOpen(relay.get(), command.pid(), 1);
    command.Go("");
    command.Wait();
    const Relay::Recorded recorded = relay->Finish(stream.id, kPatience);
    CHECK_FALSE(recorded.taken);
    CHECK_FALSE(recorded.complete());
    CHECK(relay->open() == 0);
  }
}

TEST_CASE("A child's bytes are its parent's too, each in its place") {
  Client client(3);
  const auto relay = client.NewRelay();
  const Ends outside = MakePipe();
  const Relay::Stream parent = MustOpen(relay.get(), getpid(), outside.write.get());
  UniqueFd parent_end = OpenPath(parent.path);
  Put(parent_end, "1");
  const Relay::Stream child = MustOpen(relay.get(), getpid(), parent_end.get());
  UniqueFd child_end = OpenPath(child.path);
  const Relay::Stream grandchild = MustOpen(relay.get(), getpid(), child_end.get());
  UniqueFd grandchild_end = OpenPath(grandchild.path);
  Put(grandchild_end, "2");
  Put(child_end, "3");
  Put(parent_end, "4");
  for (UniqueFd* end : {&grandchild_end, &child_end, &parent_end}) end->reset();
  CHECK(relay->Finish(grandchild.id, kPatience).bytes == "2");
  const Relay::Recorded of_child = relay->Finish(child.id, kPatience);
  CHECK(of_child.bytes == "23");
  CHECK(of_child.complete());
  CHECK(relay->Finish(parent.id, kPatience).bytes == "1234");
  CHECK(Get(outside.read, 4) == "1234");
}

TEST_CASE("What a child wrote before its end stands before what its parent writes then, at any speed") {
  Client client(4);
  const auto relay = client.NewRelay();
  const Ends outside = MakePipe();
  const Relay::Stream parent = MustOpen(relay.get(), getpid(), outside.write.get());
  UniqueFd parent_end = OpenPath(parent.path);
  std::string expected;
  std::string arrived;
  for (int i = 0; i < 3000; ++i) {
    const Relay::Stream child = MustOpen(relay.get(), getpid(), parent_end.get());
    Put(OpenPath(child.path), "child ");
    Put(parent_end, "parent ");
    if (i % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(20));
    CHECK(relay->Finish(child.id).bytes == "child ");
    expected += "child parent ";
    arrived += Get(outside.read, 13);
  }
  CHECK(arrived == expected);
  parent_end.reset();
  CHECK(relay->Finish(parent.id, kPatience).bytes == expected);
}

TEST_CASE("Commands one after the other below a parent that is not captured keep their order") {
  Client client(4);
  const auto relay = client.NewRelay();
  const Ends outside = MakePipe();
  for (int i = 0; i < 500; ++i) {
    const Relay::Stream first = MustOpen(relay.get(), getpid(), outside.write.get());
    Put(OpenPath(first.path), "a");
    const Relay::Stream second = MustOpen(relay.get(), getpid(), outside.write.get());
    Put(OpenPath(second.path), "b");
    relay->Finish(second.id);
    relay->Finish(first.id);
    CHECK(Get(outside.read, 2) == "ab");
  }
}

TEST_CASE("A program that replaces another by exec writes to its own stream and to the other's record") {
  Client client(2);
  const auto relay = client.NewRelay();
  Ends outside = MakePipe();
  const Relay::Stream first = MustOpen(relay.get(), getpid(), outside.write.get());
  UniqueFd end = OpenPath(first.path);
  outside.write.reset();
  Put(end, "shell ");
  const Relay::Stream second = MustOpen(relay.get(), getpid(), end.get());
  end = OpenPath(second.path);  // The first has no writers any more.
  Put(end, "program");
  const Relay::Recorded of_first = relay->Finish(first.id);
  CHECK(of_first.bytes == "shell program");
  CHECK_FALSE(of_first.ended);
  end.reset();
  CHECK(relay->Finish(second.id, kPatience).complete());
  CHECK(Get(outside.read) == "shell program");
}

TEST_CASE("A hundred mebibytes go through, are in a file, and are the same") {
  Client client(2);
  const auto relay = client.NewRelay();
  Ends outside = MakePipe();
  Command command(outside.write.get(), "seq 1 15000000 | head -c 104857600");
  const Relay::Stream stream = MustOpen(relay.get(), command.pid(), 1);
  outside.write.reset();
  std::string arrived;
  std::thread reader([&] {
    std::vector<char> buffer(1 << 20);
    ssize_t got = 0;
    while ((got = read(outside.read.get(), buffer.data(), buffer.size())) > 0) {
      arrived.append(buffer.data(), static_cast<size_t>(got));
    }
  });
  command.Go(stream.path);
  CHECK(command.Wait() == 0);
  const Relay::Recorded recorded = relay->Finish(stream.id, kPatience);
  reader.join();
  CHECK(recorded.complete());
  CHECK(recorded.bytes.empty());
  CHECK(recorded.size == 104857600);
  CHECK(arrived.size() == 104857600);
  CHECK(FileText(recorded) == arrived);
}

TEST_CASE("A writer whose reader has gone gets its SIGPIPE, and the pipe is replaced") {
  Client client(1);
  const auto relay = client.NewRelay();
  for (int i = 0; i < 3; ++i) {
    Ends outside = MakePipe();
    Command command(outside.write.get(), "exec yes");
    const Relay::Stream stream = MustOpen(relay.get(), command.pid(), 1);
    outside.write.reset();
    command.Go(stream.path);
    CHECK(Get(outside.read, 2) == "y\n");
    outside.read.reset();
    CHECK(command.Wait() == 128 + SIGPIPE);
    CHECK_FALSE(relay->Finish(stream.id).complete());
    CHECK(client.closed == i + 1);
  }
}

TEST_CASE("A writer whose reader goes without having taken what fills the pipe gets its SIGPIPE") {
  Client client(1);
  const auto relay = client.NewRelay();
  Ends outside = MakePipe();
  Command command(outside.write.get(), "exec yes");
  const Relay::Stream stream = MustOpen(relay.get(), command.pid(), 1);
  outside.write.reset();
  command.Go(stream.path);
  const int size = fcntl(outside.read.get(), F_GETPIPE_SZ);
  for (int filled = 0; filled < size;) REQUIRE(ioctl(outside.read.get(), FIONREAD, &filled) == 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // All stand still.
  outside.read.reset();
  CHECK(command.Wait() == 128 + SIGPIPE);
  CHECK_FALSE(relay->Finish(stream.id).complete());
}

TEST_CASE("A child of the command whose reader has gone gets its SIGPIPE too") {
  Client client(2);
  const auto relay = client.NewRelay();
  Ends outside = MakePipe();
  const Relay::Stream parent = MustOpen(relay.get(), getpid(), outside.write.get());
  const UniqueFd parent_end = OpenPath(parent.path);
  Command command(parent_end.get(), "exec yes");
  const Relay::Stream child = MustOpen(relay.get(), command.pid(), 1);
  outside.write.reset();
  command.Go(child.path);
  CHECK(Get(outside.read, 2) == "y\n");
  outside.read.reset();
  CHECK(command.Wait() == 128 + SIGPIPE);
  CHECK_FALSE(relay->Finish(child.id).complete());
  CHECK_FALSE(relay->Finish(parent.id).complete());
}

TEST_CASE("A pipe that nobody reads from the start is left to the command") {
  Client client(1);
  const auto relay = client.NewRelay();
  Ends outside = MakePipe();
  outside.read.reset();
  CHECK(relay->Open(getpid(), outside.write.get()).status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(relay->open() == 0);
}

TEST_CASE("A target that takes nothing blocks its own writers, and nobody else") {
  Client client(3);
  const auto relay = client.NewRelay();
  Ends blocked = MakePipe();
  const Ends other = MakePipe();
  const Relay::Stream stuck = MustOpen(relay.get(), getpid(), blocked.write.get());
  UniqueFd stuck_end = OpenPath(stuck.path);
  blocked.write.reset();
  fcntl(stuck_end.get(), F_SETFL, O_NONBLOCK);
  const std::string page(4096, 'x');
  std::string written;
  for (int idle = 0; idle < 20;) {
    const ssize_t wrote = write(stuck_end.get(), page.data(), page.size());
    if (wrote > 0) {
      written.append(page, 0, static_cast<size_t>(wrote));
      REQUIRE(written.size() < 300'000);  // Two pipes full, and something.
      idle = 0;
    } else {
      ++idle;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  CHECK_FALSE(relay->WaitForwarded(absl::Milliseconds(20)));

  const Relay::Stream free = MustOpen(relay.get(), getpid(), other.write.get());
  Put(OpenPath(free.path), "free");
  CHECK(Get(other.read, 4) == "free");
  CHECK(relay->Finish(free.id, kPatience).bytes == "free");

  stuck_end.reset();
  const Relay::Recorded recorded = relay->Finish(stuck.id, kPatience);
  CHECK(recorded.complete());
  CHECK(recorded.size == written.size());
  CHECK(Get(blocked.read) == written);
  CHECK(relay->WaitForwarded(kPatience));
}

TEST_CASE("What a slow reader takes in pieces is whole") {
  Client client(1);
  const auto relay = client.NewRelay();
  Ends outside = MakePipe();
  Command command(outside.write.get(), "seq 1 300000");
  const Relay::Stream stream = MustOpen(relay.get(), command.pid(), 1);
  outside.write.reset();
  command.Go(stream.path);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const std::string arrived = Get(outside.read);
  CHECK(command.Wait() == 0);
  const Relay::Recorded recorded = relay->Finish(stream.id, kPatience);
  CHECK(recorded.complete());
  CHECK(FileText(recorded) == arrived);
  CHECK(arrived.substr(arrived.size() - 7) == "300000\n");
}

TEST_CASE("Commands do not fill the memory while nothing is taken") {
  Client client(3);
  const auto relay = client.NewRelay();
  Ends blocked = MakePipe();
  const Relay::Stream parent = MustOpen(relay.get(), getpid(), blocked.write.get());
  const UniqueFd parent_end = OpenPath(parent.path);
  const std::string much(60'000, 'x');
  size_t total = 0;
  absl::Status refused;
  while (refused.ok() && total < 4 * kMaxPending) {
    const absl::StatusOr<Relay::Stream> child = relay->Open(getpid(), parent_end.get());
    refused = child.status();
    if (!child.ok()) break;
    Put(OpenPath(child->path), much);
    CHECK(relay->Finish(child->id).complete());
    total += much.size();
  }
  CHECK(refused.code() == absl::StatusCode::kResourceExhausted);
  CHECK(total < kMaxPending + 200'000);
}

TEST_CASE("A background process keeps its stream until it ends, and the pipe is free then") {
  Client client(1);
  const auto relay = client.NewRelay();
  Ends outside = MakePipe();
  const Relay::Stream stream = MustOpen(relay.get(), getpid(), outside.write.get());
  UniqueFd background = OpenPath(stream.path);
  Put(background, "early ");
  const Relay::Recorded recorded = relay->Finish(stream.id, absl::Milliseconds(5));
  CHECK(recorded.bytes == "early ");
  CHECK(recorded.taken);
  CHECK_FALSE(recorded.ended);
  CHECK(relay->Open(getpid(), outside.write.get()).status().code() == absl::StatusCode::kResourceExhausted);
  Put(background, "late");
  CHECK(Get(outside.read, 10) == "early late");
  background.reset();
  CHECK(relay->WaitForwarded(kPatience));
  const Relay::Stream next = MustOpen(relay.get(), getpid(), outside.write.get());
  Put(OpenPath(next.path), "next");
  CHECK(relay->Finish(next.id).bytes == "next");
}

TEST_CASE("A background process is heard to its end after the relay has gone") {
  Client client(1);
  Ends outside = MakePipe();
  UniqueFd background;
  {
    const auto relay = client.NewRelay();
    const Relay::Stream stream = MustOpen(relay.get(), getpid(), outside.write.get());
    background = OpenPath(stream.path);
    relay->Finish(stream.id);
  }
  outside.write.reset();
  Put(background, "still here");
  CHECK(Get(outside.read, 10) == "still here");
  background.reset();
  CHECK(Get(outside.read).empty());
}

TEST_CASE("A process that closes its descriptors a little after its end is waited for") {
  Client client(1);
  const auto relay = client.NewRelay();
  const Ends outside = MakePipe();
  const Relay::Stream stream = MustOpen(relay.get(), getpid(), outside.write.get());
  UniqueFd end = OpenPath(stream.path);
  std::thread late([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    Put(end, "flushed");
    end.reset();
  });
  const Relay::Recorded recorded = relay->Finish(stream.id, kPatience);
  late.join();
  CHECK(recorded.bytes == "flushed");
  CHECK(recorded.complete());
}

TEST_CASE("One pipe serves a thousand commands, and a second at the same time is refused") {
  Client client(1);
  const auto relay = client.NewRelay();
  const Ends outside = MakePipe();
  for (int i = 0; i < 1000; ++i) {
    const Relay::Stream stream = MustOpen(relay.get(), getpid(), outside.write.get());
    UniqueFd end = OpenPath(stream.path);
    CHECK(relay->Open(getpid(), outside.write.get()).status().code() == absl::StatusCode::kResourceExhausted);
    Put(end, "x");
    end.reset();
    CHECK(relay->Finish(stream.id).complete());
    CHECK(Get(outside.read, 1) == "x");
  }
}

TEST_CASE("A failed exec leaves nothing behind") {
  Client client(1);
  const auto relay = client.NewRelay();
  Ends outside = MakePipe();
  const Relay::Stream unopened = MustOpen(relay.get(), getpid(), outside.write.get());
  relay->Cancel(unopened.id);
  const Relay::Stream opened = MustOpen(relay.get(), getpid(), outside.write.get());
  OpenPath(opened.path).reset();
  relay->Cancel(opened.id);
  CHECK(relay->open() == 0);
  outside.write.reset();
  CHECK(Get(outside.read).empty());
}

TEST_CASE("A dropped record is not complete, and its bytes arrive") {
  Client client(1);
  const auto relay = client.NewRelay();
  const Ends outside = MakePipe();
  const Relay::Stream stream = MustOpen(relay.get(), getpid(), outside.write.get());
  UniqueFd end = OpenPath(stream.path);
  relay->DropRecord(stream.id);
  Put(end, "word");
  end.reset();
  CHECK(Get(outside.read, 4) == "word");
  CHECK_FALSE(relay->Finish(stream.id, kPatience).complete());
}

TEST_CASE("What is no pipe, no terminal and no socket of bytes has no stream") {
  Client client(1, 1);
  const auto relay = client.NewRelay();
  int sockets[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets) == 0);
  const UniqueFd first(sockets[0]);
  const UniqueFd second(sockets[1]);
  const UniqueFd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
  for (const int fd : {first.get(), null.get(), 9999}) {
    CHECK(relay->Open(getpid(), fd).status().code() == absl::StatusCode::kFailedPrecondition);
  }
}

TEST_CASE("A terminal is replaced by a terminal of the same size, and newlines are translated once") {
  Client client(1, 1);
  const auto relay = client.NewRelay();
  const Ends outside = MakeTerminal();
  const winsize size = {33, 77, 0, 0};
  REQUIRE(ioctl(outside.write.get(), TIOCSWINSZ, &size) == 0);
  for (int i = 0; i < 5; ++i) {
    Command command(outside.write.get(), "test -t 1 && test -t 2 && echo \"line $((1 + 1))\"");
    const Relay::Stream stream = MustOpen(relay.get(), command.pid(), 1);
    CHECK(stream.terminal);
    command.Go(stream.path);
    CHECK(command.Wait() == 0);
    const Relay::Recorded recorded = relay->Finish(stream.id, kPatience);
    CHECK(recorded.bytes == "line 2\n");
    CHECK(recorded.complete());
    CHECK(Get(outside.read, 8) == "line 2\r\n");
    const UniqueFd slave(open(stream.path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    winsize copied = {};
    CHECK(ioctl(slave.get(), TIOCGWINSZ, &copied) == 0);
    CHECK(copied.ws_row == 33);
    CHECK(copied.ws_col == 77);
  }
}

TEST_CASE("Of a terminal too it is known whether a command has opened it, and its children's order holds") {
  Client client(0, 3);
  const auto relay = client.NewRelay();
  const Ends outside = MakeTerminal();
  for (int i = 0; i < 50; ++i) {
    const Relay::Stream unopened = MustOpen(relay.get(), getpid(), outside.write.get());
    CHECK_FALSE(relay->Finish(unopened.id).taken);
    const Relay::Stream silent = MustOpen(relay.get(), getpid(), outside.write.get());
    OpenPath(silent.path).reset();
    CHECK(relay->Finish(silent.id, kPatience).complete());
    const Relay::Stream parent = MustOpen(relay.get(), getpid(), outside.write.get());
    UniqueFd parent_end = OpenPath(parent.path);
    Put(parent_end, "1");
    const Relay::Stream child = MustOpen(relay.get(), getpid(), parent_end.get());
    Put(OpenPath(child.path), "2");
    Put(parent_end, "3");
    CHECK(relay->Finish(child.id).bytes == "2");
    parent_end.reset();
    CHECK(relay->Finish(parent.id, kPatience).bytes == "123");
    CHECK(Get(outside.read, 3) == "123");
    CHECK(relay->open() == 0);
  }
}

TEST_CASE("Two pools of commands at once in many threads lose nothing") {
  Client client(16);
  const auto relay = client.NewRelay();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 300; ++i) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) return;
        const UniqueFd read_end(ends[0]);
        UniqueFd write_end(ends[1]);
        const absl::StatusOr<Relay::Stream> stream = relay->Open(getpid(), write_end.get());
        write_end.reset();
        if (!stream.ok()) {
          ++wrong;
          continue;
        }
        {
          const UniqueFd end(open(stream->path.c_str(), O_WRONLY | O_CLOEXEC));
          if (write(end.get(), "abc", 3) != 3) ++wrong;
        }
        if (relay->Finish(stream->id).bytes != "abc") ++wrong;
        char text[4] = {};
        if (read(read_end.get(), text, 3) != 3 || read(read_end.get(), text, 3) != 0) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("A client's descriptors that are no pool are refused") {
  Client client(1);
  const Ends blocking = MakePipe();
  const UniqueFd file(open("/dev/null", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  for (const int number : {blocking.read.get(), file.get(), 9999, -1}) {
    v1::RunRequest::Outputs offered = client.offered();
    offered.add_pipes(number);
    CHECK_FALSE(TakePool(getpid(), offered).ok());
  }
  v1::RunRequest::Outputs offered = client.offered();
  auto* terminal = offered.add_terminals();
  terminal->set_master(file.get());
  terminal->set_slave("/dev/pts/0");
  CHECK_FALSE(TakePool(getpid(), offered).ok());
  CHECK(TakePool(getpid(), client.offered()).ok());
  CHECK_FALSE(TakePool(0, client.offered()).ok());
}

TEST_CASE("What a stream costs", "[!benchmark]") {
  Client client(64);
  const auto relay = client.NewRelay();
  const Ends outside = MakePipe();
  const Relay::Stream parent = MustOpen(relay.get(), getpid(), outside.write.get());
  const UniqueFd parent_end = OpenPath(parent.path);
  const auto now = [] { return std::chrono::steady_clock::now(); };
  constexpr int kRounds = 20'000;
  std::chrono::nanoseconds opens{0};
  std::chrono::nanoseconds finishes{0};
  for (int i = 0; i < kRounds; ++i) {
    const auto begin = now();
    const absl::StatusOr<Relay::Stream> stream = relay->Open(getpid(), parent_end.get());
    opens += now() - begin;
    close(open(stream->path.c_str(), O_WRONLY | O_CLOEXEC));
    const auto ended = now();
    relay->Finish(stream->id);
    finishes += now() - ended;
  }
  WARN("Open " << opens.count() / kRounds << " ns, Finish " << finishes.count() / kRounds << " ns");
  std::chrono::nanoseconds latency{0};
  for (int i = 0; i < kRounds; ++i) {
    const auto begin = now();
    Put(parent_end, "x");
    Get(outside.read, 1);
    latency += now() - begin;
  }
  WARN("write to arrival " << latency.count() / kRounds << " ns");
}

}  // namespace
}  // namespace ocpwatch
