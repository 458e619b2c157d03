// The writer's side of the ring, and of synchronous calls.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "preload/runtime/opaque.h"
#include "tests/unit/preload/traced_run.h"

namespace ocpwatch {
namespace {

double SecondsOf(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST_CASE("A ring that is full many times over loses nothing while it is read") {
  TestSession::Settings settings;
  settings.data_size = uint64_t{16} * 1024;
  TestSession session(settings);
  session.Run({ProbePath(), "opens", "20000"});
  const auto frames = session.Frames();
  CHECK(After(frames, v1::OP_OPEN).size() == 20000);
  CHECK(After(frames, v1::OP_CLOSE).size() == 20000);
  CHECK(session.ring()->lost_frames == 0);
  CHECK(session.malformed() == 0);
}

TEST_CASE("A reader that stands still holds a program up for the bound and no longer") {
  TestSession::Settings settings;
  settings.data_size = uint64_t{16} * 1024;
  settings.read = false;
  TestSession session(settings);
  const double seconds = SecondsOf([&] {
    CHECK(WEXITSTATUS(session.Run({ProbePath(), "opens", "5000"}).wait_status) == 0);
  });
  CHECK(seconds >= 5);
  CHECK(seconds < 8);
  CHECK(session.ring()->state == static_cast<uint32_t>(RingState::kAbandoned));
  CHECK(session.ring()->lost_frames > 0);
  // All others stop without waiting.
  CHECK(SecondsOf([&] { session.Run({ProbePath(), "opens", "5000"}); }) < 2);
}

TEST_CASE("A full ring whose daemon has died lets the program go on at once, and all others stop") {
  TestSession::Settings settings;
  settings.data_size = uint64_t{16} * 1024;
  settings.read = false;
  TestSession session(settings);
  // Somebody else holds the ring under the same number, and dies when the program has filled it.
  const pid_t holder = fork();
  if (holder == 0) {
    for (;;) pause();
  }
  RunOptions options;
  options.traced = false;
  options.environment = {"PATH=/bin", "LD_PRELOAD=" + PreloadPath(),
                         std::string(kWatchVariable) + "=" + session.WatchVariable(1, 0, getpid(), holder)};
  options.while_it_runs = [holder](pid_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    kill(holder, SIGKILL);
    // Not waited for yet: a zombie has ended, too.
  };
  const double seconds = SecondsOf([&] {
    CHECK(WEXITSTATUS(session.Run({ProbePath(), "opens", "5000"}, options).wait_status) == 0);
  });
  waitpid(holder, nullptr, 0);
  CHECK(seconds < 3);
  CHECK(session.ring()->state == static_cast<uint32_t>(RingState::kAbandoned));
}

TEST_CASE("Where the daemon's descriptors cannot be reached the ring comes over the socket") {
  char directory[] = "/tmp/preload-test-XXXXXX";
  REQUIRE(mkdtemp(directory) != nullptr);
  TestSession::Settings settings;
  settings.socket_path = std::string(directory) + "/intercept.sock";
  settings.claimed_pid = 0x3fffffff;  // Nobody's.
  TestSession session(settings);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  settings.socket_path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(bind(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(listen(server, 5) == 0);
  v1::Frame hello;
  RunOptions options;
  options.while_it_runs = [&](pid_t) {
    const int connection = accept4(server, nullptr, nullptr, SOCK_CLOEXEC);
    unsigned char buffer[256];
    const ssize_t size = read(connection, buffer, sizeof buffer);
    if (size > 1) hello.ParseFromArray(buffer + 1, buffer[0]);
    v1::Reply reply;
    reply.mutable_bitmap()->set_protocol(kProtocol);
    std::string text = reply.SerializeAsString();
    text.insert(text.begin(), static_cast<char>(text.size()));
    iovec part = {text.data(), text.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int ring = session.ring_fd();
    memcpy(CMSG_DATA(header), &ring, sizeof ring);
    sendmsg(connection, &message, 0);
    close(connection);
  };
  const RunResult result = session.Run({"/bin/ls", "/proc/self/fd"}, options);
  RunOptions untraced;
  untraced.traced = false;
  CHECK(result.out == session.Run({"/bin/ls", "/proc/self/fd"}, untraced).out);
  close(server);
  unlink(settings.socket_path.c_str());
  rmdir(directory);
  CHECK(hello.process() == 1);
  CHECK(hello.proc().token().size() == 16);
  CHECK(hello.proc().pid() == result.pid);
  CHECK(Images(session.Frames()).size() == 1);
  // Nobody listens: the program runs unrecorded, and is not held up.
  CHECK(SecondsOf([&] { CHECK(session.Run({"/bin/echo", "x"}).out == "x\n"); }) < 1);
}

TEST_CASE("The library's reasons for what is opaque are the protocol's") {
  CHECK(static_cast<int>(Opaque::kNone) == v1::OPAQUE_NONE);
  CHECK(static_cast<int>(Opaque::kStatic) == v1::OPAQUE_STATIC);
  CHECK(static_cast<int>(Opaque::kSetuid) == v1::OPAQUE_SETUID);
  CHECK(static_cast<int>(Opaque::kCapabilities) == v1::OPAQUE_CAPABILITIES);
  CHECK(static_cast<int>(Opaque::kOtherClass) == v1::OPAQUE_OTHER_CLASS);
  CHECK(static_cast<int>(Opaque::kOtherLibc) == v1::OPAQUE_OTHER_LIBC);
  CHECK(static_cast<int>(Opaque::kGo) == v1::OPAQUE_GO);
  CHECK(static_cast<int>(Opaque::kUnreachable) == v1::OPAQUE_UNREACHABLE);
  CHECK(static_cast<int>(Opaque::kUnreadable) == v1::OPAQUE_UNREADABLE);
  CHECK(static_cast<int>(Opaque::kIoUring) == v1::OPAQUE_IO_URING);
  CHECK(static_cast<int>(Opaque::kRawSyscall) == v1::OPAQUE_RAW_SYSCALL);
  CHECK(static_cast<int>(Opaque::kCloned) == v1::OPAQUE_CLONED);
}

TEST_CASE("A session that is closed is not written to, nor passed on") {
  TestSession session;
  session.ring()->state = static_cast<uint32_t>(RingState::kClosed);
  CHECK(session.Run({"/bin/sh", "-c", "env"}).out.find("OCP_WATCH") == std::string::npos);
  CHECK(session.Frames().empty());
}

TEST_CASE("A ring of another session is not touched") {
  TestSession session;
  session.ring()->token[0] ^= 1;
  CHECK(session.Run({"/bin/echo", "hello"}).out == "hello\n");
  CHECK(session.Frames().empty());
}

TEST_CASE("A synchronous call waits for its answer and is then made") {
  TestSession session;
  session.Set("stat", v1::BEHAVIOUR_SYNCHRONOUS);
  int asked = 0;
  session.OnSynchronous([&](const v1::Frame& frame) {
    if (frame.before().path().rfind("/nonexistent/", 0) == 0) ++asked;
    v1::Reply reply;
    reply.mutable_proceed();
    return reply;
  });
  CHECK(WEXITSTATUS(session.Run({ProbePath(), "stats", "500"}).wait_status) == 0);
  CHECK(asked == 500);
  CHECK(After(session.Frames(), v1::OP_STAT).size() == 500);
}

TEST_CASE("Kill ends the process with the status in the answer, in the place of the call") {
  TestSession session;
  session.Set("execve", v1::BEHAVIOUR_SYNCHRONOUS);
  session.OnSynchronous([](const v1::Frame& frame) {
    v1::Reply reply;
    if (frame.before().argv_size() > 1 && frame.before().argv(1) == "/killed") {
      reply.mutable_kill()->set_exit_status(42);
    } else {
      reply.mutable_proceed();
    }
    return reply;
  });
  const RunResult result = session.Run({"/bin/sh", "-c", "/bin/ls /killed; echo $?; /bin/echo kept; exit 3"});
  CHECK(result.out == "42\nkept\n");
  CHECK(WEXITSTATUS(result.wait_status) == 3);
}

TEST_CASE("In a build session the environment goes along, without our variables") {
  TestSession::Settings settings;
  settings.build = true;
  TestSession session(settings);
  RunOptions options;
  options.environment = {"PATH=/bin", "A=1"};
  session.Run({"/bin/sh", "-c", "B=2 /bin/true; :"}, options);
  const auto frames = session.Frames();
  const auto images = Images(frames);
  REQUIRE(images.size() == 2);
  const auto& environment = images[1].proc().environment();
  const std::vector<std::string> told(environment.begin(), environment.end());
  CHECK(Contains(told, "A=1"));
  CHECK(Contains(told, "B=2"));
  for (const std::string& variable : told) {
    CHECK(variable.rfind("OCP_WATCH", 0) != 0);
    CHECK(variable.rfind("LD_PRELOAD", 0) != 0);
  }
  CHECK(Before(frames, v1::OP_EXEC).back().before().environment_size() >= 3);
}

// The status told for a path; empty if none is.
v1::FileStat StatusOf(TestSession& session, const std::string& path) {
  for (const v1::Frame& frame : After(session.Frames(), v1::OP_STAT)) {
    if (frame.after().path() == path && frame.after().error() == 0) return frame.after().stat();
  }
  return {};
}

TEST_CASE("In a build session the status that a stat or statx has found goes along, and in no other") {
  struct stat expected;
  REQUIRE(stat("/etc/passwd", &expected) == 0);
  for (const std::string command : {"test -f /etc/passwd", "/usr/bin/stat /etc/passwd"}) {
    INFO(command);
    TestSession::Settings settings;
    settings.build = true;
    TestSession session(settings);
    session.Run({"/bin/sh", "-c", command});
    const v1::FileStat found = StatusOf(session, "/etc/passwd");
    CHECK(found.dev() == expected.st_dev);
    CHECK(found.ino() == expected.st_ino);
    CHECK(found.mode() == expected.st_mode);
    CHECK(found.size() == static_cast<uint64_t>(expected.st_size));
    CHECK(found.mtime_ns() == expected.st_mtim.tv_sec * 1'000'000'000 + expected.st_mtim.tv_nsec);
    CHECK(found.ctime_ns() == expected.st_ctim.tv_sec * 1'000'000'000 + expected.st_ctim.tv_nsec);
    TestSession record;
    record.Run({"/bin/sh", "-c", command});
    CHECK(StatusOf(record, "/etc/passwd").ino() == 0);
  }
}

TEST_CASE("In a build session a file is written only after an answer, and is looked at when it is open") {
  char path[] = "/tmp/ring-XXXXXX";
  close(mkstemp(path));
  TestSession::Settings settings;
  settings.build = true;
  TestSession session(settings);
  session.Run({"/bin/sh", "-c", std::string("echo x > ") + path + "; read x < " + path});
  int written = 0, asked = 0, read = 0;
  for (const v1::Frame& frame : session.Frames()) {
    if (frame.has_before() && frame.before().path() == path && frame.before().reply_slot() != 0) ++asked;
    if (!frame.has_after() || frame.after().path() != path) continue;
    CHECK(frame.after().stat().ino() != 0);
    ++((frame.after().flags() & O_WRONLY) != 0 ? written : read);
  }
  CHECK(asked == 1);
  CHECK(written == 1);
  CHECK(read == 1);
  unlink(path);
}

}  // namespace
}  // namespace ocpwatch
