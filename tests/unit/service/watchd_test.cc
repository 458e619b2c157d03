// The executable itself: how it starts, whom it tells, and how it ends.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/ingest/unique_fd.h"
#include "daemon/service/probe.h"
#include "tests/unit/service/scratch.h"

namespace ocpwatch {
namespace {

constexpr std::chrono::seconds kSoon(60);  // Sanitizers and other tests beside it.

// A home, a runtime directory and a preload library for daemons of one test.
class World {
 public:
  World() {
    std::ofstream(scratch_.path() + "/preload.so") << "x";
    for (const char* name : {"/run", "/state", "/config"}) REQUIRE(mkdir((scratch_.path() + name).c_str(), 0700) == 0);
    environment_ = {"PATH=/usr/bin:/bin", "XDG_RUNTIME_DIR=" + scratch_.path() + "/run",
                    "XDG_STATE_HOME=" + scratch_.path() + "/state", "XDG_CONFIG_HOME=" + scratch_.path() + "/config"};
    for (const char* sanitizer : {"ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"}) {
      if (const char* value = getenv(sanitizer)) environment_.push_back(absl::StrCat(sanitizer, "=", value));
    }
  }
  std::string runtime() const { return scratch_.path() + "/run/ocp-watch"; }
  std::string state() const { return scratch_.path() + "/state/ocp-watch"; }
  std::string socket() const { return runtime() + "/control.sock"; }
  std::string path(const std::string& name) const { return scratch_.path() + "/" + name; }
  void SetVariable(const std::string& variable) { environment_.push_back(variable); }
  const std::vector<std::string>& environment() const { return environment_; }
  void Configure(const std::string& text) {
    std::filesystem::create_directories(path("config/ocp-watch"));
    std::ofstream(path("config/ocp-watch/config.textproto")) << text;
  }

 private:
  Scratch scratch_;
  std::vector<std::string> environment_;
};

// A process that is ended with the test. Its descriptor 3 is a pipe to us.
class Process {
 public:
  Process(const World& world, std::vector<std::string> argv) {
    int ready[2];
    REQUIRE(pipe2(ready, O_CLOEXEC) == 0);
    ready_ = UniqueFd(ready[0]);
    UniqueFd theirs(ready[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, theirs.get(), 3);
    posix_spawn_file_actions_addopen(&actions, 2, world.path("stderr").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    std::vector<std::string> environment = world.environment();
    REQUIRE(posix_spawnp(&pid_, argv[0].c_str(), &actions, nullptr, Pointers(&argv).data(),
                         Pointers(&environment).data()) == 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Process() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  // What stands on the pipe up to its end or to the end of a line.
  std::string Line() {
    std::string line;
    pollfd entry = {ready_.get(), POLLIN, 0};
    char c;
    while (poll(&entry, 1, 10'000) == 1 && read(ready_.get(), &c, 1) == 1 && c != '\n') line += c;
    return line;
  }
  void Signal(int number) { REQUIRE(kill(pid_, number) == 0); }
  // The exit status, or 128 and the signal; -1: it has not ended soon.
  int Wait() {
    for (auto end = std::chrono::steady_clock::now() + kSoon; std::chrono::steady_clock::now() < end;) {
      int status = 0;
      if (waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return -1;
  }

 private:
  static std::vector<char*> Pointers(std::vector<std::string>* strings) {
    std::vector<char*> pointers;
    for (std::string& string : *strings) pointers.push_back(string.data());
    pointers.push_back(nullptr);
    return pointers;
  }
  pid_t pid_ = -1;
  UniqueFd ready_;
};

std::vector<std::string> Watchd(const World& world, std::vector<std::string> more = {}) {
  std::vector<std::string> argv = {OCPWATCH_WATCHD, "--preload", world.path("preload.so")};
  argv.insert(argv.end(), more.begin(), more.end());
  return argv;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

TEST_CASE("A daemon says that it is ready, ends on SIGTERM and takes its sockets away") {
  World world;
  Process daemon(world, Watchd(world, {"--ready-fd", "3"}));
  REQUIRE(daemon.Line() == "ready");
  CHECK(AnswersOnSocket(world.socket(), kSoon));
  CHECK(AnswersOnSocket(world.runtime() + "/intercept.sock", kSoon));
  daemon.Signal(SIGTERM);
  CHECK(daemon.Wait() == 0);
  CHECK(access(world.socket().c_str(), F_OK) != 0);
  CHECK_THAT(ReadFile(world.state() + "/watchd.log"), Catch::Contains("is ready") && Catch::Contains("ends"));
}

TEST_CASE("A second daemon says who the first is and leaves it alone") {
  World world;
  Process first(world, Watchd(world, {"--ready-fd", "3"}));
  REQUIRE(first.Line() == "ready");
  Process second(world, Watchd(world, {"--ready-fd", "3"}));
  CHECK_THAT(second.Line(), Catch::Contains(absl::StrCat("pid ", first.pid())));
  CHECK(second.Wait() == 1);
  CHECK(AnswersOnSocket(world.socket(), kSoon));
}

TEST_CASE("A daemon that was killed leaves nothing that its successor minds") {
  World world;
  Process first(world, Watchd(world, {"--ready-fd", "3"}));
  REQUIRE(first.Line() == "ready");
  first.Signal(SIGKILL);
  CHECK(first.Wait() == 128 + SIGKILL);
  Process second(world, Watchd(world, {"--ready-fd", "3"}));
  CHECK(second.Line() == "ready");
  CHECK(AnswersOnSocket(world.socket(), kSoon));
}

TEST_CASE("A mistake in the configuration keeps a daemon from starting, not from running on") {
  World world;
  world.Configure("idle_exit_seconds: never\n");
  Process refused(world, Watchd(world, {"--ready-fd", "3"}));
  CHECK_THAT(refused.Line(), Catch::Contains("config.textproto:1:"));
  CHECK(refused.Wait() == 1);
  world.Configure("calls: \"opem=off\"\n");
  Process unknown(world, Watchd(world, {"--ready-fd", "3"}));
  CHECK_THAT(unknown.Line(), Catch::Contains("config.textproto") && Catch::Contains("opem"));

  world.Configure("");
  Process daemon(world, Watchd(world, {"--ready-fd", "3"}));
  REQUIRE(daemon.Line() == "ready");
  world.Configure("idle_exit_seconds: never\n");
  daemon.Signal(SIGHUP);
  CHECK(AnswersOnSocket(world.socket(), kSoon));
  daemon.Signal(SIGTERM);
  CHECK(daemon.Wait() == 0);
  CHECK_THAT(ReadFile(world.state() + "/watchd.log"), Catch::Contains("stays as it was"));
}

TEST_CASE("A daemon without sessions ends after a time, by its own option or by a configuration read again") {
  World world;
  Process daemon(world, Watchd(world, {"--ready-fd", "3", "--idle-exit", "1"}));
  REQUIRE(daemon.Line() == "ready");
  CHECK(daemon.Wait() == 0);
  Process other(world, Watchd(world, {"--ready-fd", "3"}));
  REQUIRE(other.Line() == "ready");
  world.Configure("idle_exit_seconds: 1\n");
  other.Signal(SIGHUP);
  CHECK(other.Wait() == 0);
}

TEST_CASE("A missing preload library is an error that says how to name it") {
  World world;
  Process daemon(world, {OCPWATCH_WATCHD, "--preload", "/nowhere/preload.so", "--ready-fd", "3"});
  CHECK_THAT(daemon.Line(), Catch::Contains("/nowhere/preload.so") && Catch::Contains("--preload"));
  CHECK(daemon.Wait() == 1);
}

TEST_CASE("systemd hears READY, then WATCHDOG again and again, then STOPPING") {
  World world;
  const std::string path = world.path("notify");
  UniqueFd notify(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), path.size());
  REQUIRE(bind(notify.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  const timeval patience = {10, 0};
  setsockopt(notify.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const auto next = [&] {
    char text[256];
    const ssize_t size = recv(notify.get(), text, sizeof text, 0);
    return std::string(text, size > 0 ? static_cast<size_t>(size) : 0);
  };
  world.SetVariable("NOTIFY_SOCKET=" + path);
  world.SetVariable("WATCHDOG_USEC=200000");
  Process daemon(world, Watchd(world, {"--foreground"}));
  CHECK(next() == "READY=1");
  for (int i = 0; i < 5; i++) CHECK(next() == "WATCHDOG=1");
  daemon.Signal(SIGTERM);
  std::string last = next();
  while (last == "WATCHDOG=1") last = next();
  CHECK(last == "STOPPING=1");
  CHECK(daemon.Wait() == 0);
}

TEST_CASE("The sockets of systemd are told apart by path, whatever their order, and outlive the daemon") {
  World world;
  std::filesystem::create_directory(world.runtime());
  std::filesystem::permissions(world.runtime(), std::filesystem::perms::owner_all);
  const std::string intercept = world.runtime() + "/intercept.sock";
  std::vector<std::string> argv = {"systemd-socket-activate", "-l", intercept, "-l", world.socket()};
  for (const std::string& variable : world.environment()) argv.push_back("--setenv=" + variable);
  for (const std::string& word : Watchd(world, {"--foreground"})) argv.push_back(word);
  // It executes the daemon at the first connection.
  Process daemon(world, argv);
  // There is a moment between the socket's name and the first who listens.
  for (int i = 0; i < 500 && !AnswersOnSocket(world.socket(), kSoon); i++) usleep(10'000);
  CHECK(AnswersOnSocket(world.socket(), kSoon));
  CHECK(AnswersOnSocket(intercept, kSoon));
  daemon.Signal(SIGTERM);
  CHECK(daemon.Wait() == 0);
  CHECK(access(world.socket().c_str(), F_OK) == 0);
}

TEST_CASE("Sockets of systemd that are not ours are refused with what is wrong") {
  World world;
  std::filesystem::create_directory(world.runtime());
  std::vector<std::string> argv = {"systemd-socket-activate", "-l", world.socket(), "-l", world.path("other.sock")};
  for (const std::string& variable : world.environment()) argv.push_back("--setenv=" + variable);
  for (const std::string& word : Watchd(world, {"--foreground"})) argv.push_back(word);
  Process daemon(world, argv);
  for (int i = 0; i < 500 && access(world.path("other.sock").c_str(), F_OK) != 0; i++) usleep(10'000);
  // Wakes it; the daemon that comes will not serve. There is a moment between the socket's name and who listens.
  usleep(100'000);
  AnswersOnSocket(world.socket(), kSoon);
  CHECK(daemon.Wait() == 1);
  CHECK_THAT(ReadFile(world.path("stderr")), Catch::Contains("other.sock"));
}

}  // namespace
}  // namespace ocpwatch
