// A client's pool, commands and outside targets for the tests of the relay: real pipes, terminals and processes.
#ifndef OCPWATCH_TESTS_UNIT_BUILD_RELAY_WORLD_H_
#define OCPWATCH_TESTS_UNIT_BUILD_RELAY_WORLD_H_

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/build/relay.h"

extern char** environ;

namespace ocpwatch {

// A pipe or terminal that commands inherit.
struct Ends {
  UniqueFd read;
  UniqueFd write;
};

inline Ends MakePipe() {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

inline std::string SlaveOf(int master) {
  unsigned number = 0;
  REQUIRE(ioctl(master, TIOCGPTN, &number) == 0);
  return absl::StrCat("/dev/pts/", number);
}

inline UniqueFd MakeMaster(int flags) {
  UniqueFd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | flags));
  REQUIRE(master.valid());
  REQUIRE(unlockpt(master.get()) == 0);
  return master;
}

inline Ends MakeTerminal() {
  UniqueFd master = MakeMaster(0);
  UniqueFd slave(open(SlaveOf(master.get()).c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(slave.valid());
  return {std::move(master), std::move(slave)};
}

// The client is this process.
class Client {
 public:
  explicit Client(int pipes, int terminals = 0) {
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < pipes; ++i) {
      pipes_.push_back(NewPipe());
      offered_.add_pipes(pipes_.back().get());
      AddKeeper();
    }
    for (int i = 0; i < terminals; ++i) {
      terminals_.push_back(MakeMaster(O_NONBLOCK));
      auto* terminal = offered_.add_terminals();
      terminal->set_master(terminals_.back().get());
      terminal->set_slave(SlaveOf(terminals_.back().get()));
      AddKeeper();
    }
  }

  std::unique_ptr<Relay> NewRelay() {
    absl::StatusOr<Pool> pool = TakePool(getpid(), offered_);
    REQUIRE(pool.ok());
    return std::make_unique<Relay>(*std::move(pool), "/tmp", [this](int32_t number) {
      const UniqueFd fresh = NewPipe();
      ++closed;  // First: whoever writes into the pipe learns of its end by the next line.
      dup3(fresh.get(), number, O_CLOEXEC);
    });
  }

  const v1::RunRequest::Outputs& offered() const { return offered_; }
  std::atomic<int> closed{0};

 private:
  static UniqueFd NewPipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return UniqueFd();
    close(ends[1]);
    return UniqueFd(ends[0]);
  }

  void AddKeeper() {
    UniqueFd keeper(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    socklen_t size = sizeof address.sun_family;
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(bind(keeper.get(), name, size) == 0);
    size = sizeof address;
    REQUIRE(getsockname(keeper.get(), name, &size) == 0);
    REQUIRE(connect(keeper.get(), name, size) == 0);
    offered_.add_keepers(keeper.get());
    keepers_.push_back(std::move(keeper));
  }

  std::vector<UniqueFd> pipes_;
  std::vector<UniqueFd> keepers_;
  std::vector<UniqueFd> terminals_;
  v1::RunRequest::Outputs offered_;
};

// A shell that waits as a process in the exec hook does, with `out` as its descriptors 1 and 2.
class Command {
 public:
  Command(int out, const std::string& script) {
    Ends go = MakePipe();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, go.read.get(), 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, out, 2);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    std::string shell = "sh", option = "-c";
    std::string text = "read -r path; [ -z \"$path\" ] || exec >\"$path\" 2>&1; exec </dev/null; " + script;
    char* argv[] = {shell.data(), option.data(), text.data(), nullptr};
    REQUIRE(posix_spawn(&pid_, "/bin/sh", &actions, &attributes, argv, environ) == 0);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    go_ = std::move(go.write);
  }
  ~Command() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      Wait();
    }
  }
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  pid_t pid() const { return pid_; }
  void Go(const std::string& path) {
    const std::string line = path + "\n";
    REQUIRE(write(go_.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size()));
  }
  // As a shell says it: the exit status, or 128 + the signal.
  int Wait() {
    int status = 0;
    REQUIRE(waitpid(pid_, &status, 0) == pid_);
    pid_ = 0;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t pid_ = 0;
  UniqueFd go_;
};

// Of a stream, as the command would open it.
inline UniqueFd OpenPath(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC));
  REQUIRE(fd.valid());
  return fd;
}

inline void Put(const UniqueFd& fd, std::string_view text) {
  REQUIRE(write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

// What can be read until `size` bytes or the end have come; the test fails if neither does within ten seconds.
inline std::string Get(const UniqueFd& fd, size_t size = SIZE_MAX) {
  std::string text;
  while (text.size() < size) {
    pollfd state = {fd.get(), POLLIN, 0};
    REQUIRE(poll(&state, 1, 10'000) == 1);
    char buffer[4096];
    const ssize_t got = read(fd.get(), buffer, std::min(sizeof buffer, size - text.size()));
    if (got <= 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

inline bool Readable(const UniqueFd& fd, int milliseconds) {
  pollfd state = {fd.get(), POLLIN, 0};
  return poll(&state, 1, milliseconds) == 1;
}

inline Relay::Stream MustOpen(Relay* relay, pid_t pid, int fd) {
  absl::StatusOr<Relay::Stream> stream = relay->Open(pid, fd);
  INFO(stream.status());
  REQUIRE(stream.ok());
  return *std::move(stream);
}

}  // namespace ocpwatch

#endif  // OCPWATCH_TESTS_UNIT_BUILD_RELAY_WORLD_H_
