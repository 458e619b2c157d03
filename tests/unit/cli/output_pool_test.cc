#include "cli/output_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <thread>

#include "cli/child.h"
#include "ocpwatch/v1/keeper.h"

namespace ocpwatch {
namespace {

struct Ends {
  int read = -1;
  int write = -1;
  Ends() {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    read = ends[0];
    write = ends[1];
  }
  ~Ends() {
    CloseRead();
    CloseWrite();
  }
  void CloseRead() { Close(&read); }
  void CloseWrite() { Close(&write); }
  static void Close(int* fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
  }
};

// What the daemon does when it gives entry `index` to a command.
void Keep(const v1::RunRequest::Outputs& offered, int index, int target, KeptRoute route) {
  iovec part = {&route, sizeof route};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof target)> control = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof target);
  memcpy(CMSG_DATA(header), &target, sizeof target);
  REQUIRE(sendmsg(offered.keepers(index), &message, 0) == sizeof route);
}

int Writer(int number) {
  const int fd = open(("/proc/self/fd/" + std::to_string(number)).c_str(), O_WRONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  return fd;
}

void Put(int fd, std::string_view text) {
  REQUIRE(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

// What can be read until `size` bytes or the end have come; within ten seconds.
std::string Get(int fd, size_t size = SIZE_MAX) {
  std::string text;
  while (text.size() < size) {
    pollfd state = {fd, POLLIN, 0};
    REQUIRE(poll(&state, 1, 10'000) == 1);
    char buffer[65536];
    const ssize_t got = read(fd, buffer, std::min(sizeof buffer, size - text.size()));
    if (got <= 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

TEST_CASE("The pool is pipes without writers, and each has a keeper") {
  OutputPool pool;
  const v1::RunRequest::Outputs offered = pool.Offer(false);
  CHECK(offered.pipes_size() == kPoolPipes);
  CHECK(offered.terminals_size() == 0);
  CHECK(offered.keepers_size() == kPoolPipes);
  for (const int fd : offered.pipes()) {
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    char byte = 0;
    CHECK(read(fd, &byte, 1) == 0);
  }
  for (const int fd : offered.keepers()) CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("A small limit of open files makes a small pool") {
  rlimit saved = {};
  getrlimit(RLIMIT_NOFILE, &saved);
  rlimit low = saved;
  low.rlim_cur = 128;
  setrlimit(RLIMIT_NOFILE, &low);
  {
    OutputPool pool;
    const v1::RunRequest::Outputs offered = pool.Offer(true);
    CHECK(offered.pipes_size() == 12);
    CHECK(offered.terminals_size() == 4);
  }
  setrlimit(RLIMIT_NOFILE, &saved);
}

TEST_CASE("A command finds nothing of the pool among its descriptors") {
  const std::vector<std::string> count = {"sh", "-c", "exit \"$(ls /proc/self/fd | wc -l)\""};
  const int without = RunChild(StartState(), count, {"PATH=/usr/bin:/bin"}).value;
  OutputPool pool;
  CHECK(pool.Offer(true).terminals_size() > 0);
  CHECK(RunChild(StartState(), count, {"PATH=/usr/bin:/bin"}).value == without);
}

TEST_CASE("A command finds what was opened for it, and only it has it") {
  Ends output;
  const ChildEnd end =
      RunChild(StartState(), {"sh", "-c", "echo out; echo err >&2"}, {"PATH=/usr/bin:/bin"}, {{output.write, {1, 2}}});
  output.write = -1;
  CHECK(end.value == 0);
  CHECK(Get(output.read) == "out\nerr\n");
}

TEST_CASE("A pipe that is replaced ends its writers, and another one has its number") {
  OutputPool pool;
  const int number = pool.Offer(false).pipes(0);
  const int old = Writer(number);
  signal(SIGPIPE, SIG_IGN);
  pool.Replace(number);
  CHECK(write(old, "x", 1) == -1);
  CHECK(errno == EPIPE);
  const int fresh = Writer(number);
  Put(fresh, "y");
  CHECK(Get(number, 1) == "y");
  close(old);
  close(fresh);
  signal(SIGPIPE, SIG_DFL);
}

TEST_CASE("After the daemon's death each command's bytes arrive where they belong, in their order") {
  OutputPool pool;
  const v1::RunRequest::Outputs offered = pool.Offer(false);
  Ends first;
  Ends second;
  Keep(offered, 0, first.write, {7, 0});
  Keep(offered, 1, first.write, {8, 7});
  Keep(offered, 2, second.write, {9, 0});
  first.CloseWrite();
  second.CloseWrite();
  int parent = Writer(offered.pipes(0));
  int child = Writer(offered.pipes(1));
  int other = Writer(offered.pipes(2));
  Put(child, "child ");
  Put(parent, "parent ");
  Put(other, "other");
  pool.TakeOver();
  CHECK(Get(first.read, 13) == "child parent ");
  Put(child, "again ");
  CHECK(Get(first.read, 6) == "again ");
  close(other);
  CHECK(Get(second.read) == "other");  // Its end too.
  close(child);
  Put(parent, "last");
  close(parent);
  CHECK(Get(first.read) == "last");
  pool.Settle();
}

TEST_CASE("What a slow reader has not taken is handed on before we end") {
  OutputPool pool;
  const v1::RunRequest::Outputs offered = pool.Offer(false);
  Ends target;
  Keep(offered, 0, target.write, {1, 0});
  target.CloseWrite();
  const int writer = Writer(offered.pipes(0));
  pool.TakeOver();
  const std::string much(200'000, 'x');
  std::thread slow([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK(Get(target.read, much.size()) == much);
  });
  Put(writer, much);
  pool.Settle();  // The writer is a background process: it lives on.
  slow.join();
  close(writer);
}

TEST_CASE("After the daemon's death too, a writer whose reader has gone gets its SIGPIPE") {
  OutputPool pool;
  const v1::RunRequest::Outputs offered = pool.Offer(false);
  Ends target;
  Keep(offered, 0, target.write, {1, 0});
  target.CloseWrite();
  const std::string path = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(offered.pipes(0));
  std::thread reader([&] {
    CHECK(Get(target.read, 2) == "y\n");
    target.CloseRead();
  });
  pool.TakeOver();
  const int writer = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const ChildEnd end = RunChild(StartState(), {"yes"}, {"PATH=/usr/bin:/bin"}, {{writer, {1}}});
  reader.join();
  CHECK(end.kind == ChildEnd::kSignalled);
  CHECK(end.value == SIGPIPE);
}

TEST_CASE("A pipe that its command has not opened yet is not taken for one that it has closed") {
  OutputPool pool;
  const v1::RunRequest::Outputs offered = pool.Offer(false);
  Ends target;
  Keep(offered, 0, target.write, {1, 0});
  target.CloseWrite();
  const std::string path = "/proc/self/fd/" + std::to_string(offered.pipes(0));
  pool.TakeOver();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  const int writer = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  REQUIRE(writer >= 0);
  Put(writer, "in time");
  close(writer);
  CHECK(Get(target.read) == "in time");
}

TEST_CASE("The pool's terminals have the size of the user's, and follow it") {
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  REQUIRE(master >= 0);
  REQUIRE(unlockpt(master) == 0);
  winsize size = {20, 90, 0, 0};
  ioctl(master, TIOCSWINSZ, &size);
  OutputPool pool;
  const v1::RunRequest::Outputs offered = pool.Offer(true);
  REQUIRE(offered.terminals_size() == kPoolTerminals);
  pool.FollowSize(master);
  winsize copied = {};
  ioctl(offered.terminals(3).master(), TIOCGWINSZ, &copied);
  CHECK(copied.ws_col == 90);
  size.ws_col = 91;
  ioctl(master, TIOCSWINSZ, &size);
  raise(SIGWINCH);
  ioctl(offered.terminals(15).master(), TIOCGWINSZ, &copied);
  CHECK(copied.ws_col == 91);
  close(master);
}

}  // namespace
}  // namespace ocpwatch
