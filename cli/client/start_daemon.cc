#include "cli/client/start_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "cli/client/paths.h"

extern char** environ;

namespace ocpwatch {
namespace {

// A start takes some 20 ms. Ten seconds are a machine in deep trouble; a client that waits longer looks hung itself.
constexpr int kStartMilliseconds = 10'000;
// A full backlog of a daemon that stands still must not hold a client for ever.
constexpr time_t kConnectSeconds = 5;
constexpr int kReadyFd = 3;

constexpr std::array<std::string_view, 12> kKept = {"HOME=", "PATH=",         "LANG=",          "TZ=",
                                                    "USER=", "LOGNAME=",      "TMPDIR=",        "XDG_",
                                                    "LC_",   "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS="};

int64_t NowMilliseconds() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// Waits for the lock as long as a start may take: its holder is a client that starts a daemon.
absl::Status Lock(int fd, const std::string& path) {
  const int64_t deadline = NowMilliseconds() + kStartMilliseconds;
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return absl::UnavailableError(absl::StrCat("cannot lock ", path, ": ", strerror(errno)));
    }
    if (NowMilliseconds() > deadline) {
      return absl::DeadlineExceededError(absl::StrCat("another client holds ", path, " and its daemon does not start"));
    }
    const timespec pause = {0, 5'000'000};
    nanosleep(&pause, nullptr);
  }
  return absl::OkStatus();
}

absl::Status Spawn(const std::string& program, int ready) {
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // First: `ready` may itself be one of 0 to 2 where a client was started without them.
  posix_spawn_file_actions_adddup2(&actions, ready, kReadyFd);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&actions, kReadyFd + 1);
  posix_spawn_file_actions_addchdir_np(&actions, "/");
  const absl::Cleanup destroy = [&] {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  };
  std::string name = "watchd";
  std::string option = "--ready-fd=" + std::to_string(kReadyFd);
  char* argv[] = {name.data(), option.data(), nullptr};
  std::vector<std::string> kept = DaemonEnvironment(environ);
  std::vector<char*> envp;
  envp.reserve(kept.size() + 1);
  for (std::string& variable : kept) envp.push_back(variable.data());
  envp.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program.c_str(), &actions, &attributes, argv, envp.data());
  if (error == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot execute ", program, ": ", strerror(error)));
}

// The daemon's line: "ready", or why it cannot run.
absl::Status WaitReady(int fd, const std::string& program) {
  const int64_t deadline = NowMilliseconds() + kStartMilliseconds;
  std::string text;
  while (text.find('\n') == std::string::npos) {
    pollfd entry = {fd, POLLIN, 0};
    const int64_t left = deadline - NowMilliseconds();
    const int events = left > 0 ? poll(&entry, 1, static_cast<int>(left)) : 0;
    if (events == 0) {
      return absl::DeadlineExceededError(absl::StrCat(program, " did not become ready within ",
                                                      kStartMilliseconds / 1000, " s; see what it says: ", program,
                                                      " --foreground"));
    }
    char buffer[1024];
    const ssize_t got = read(fd, buffer, sizeof buffer);
    if (got == -1 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  text = text.substr(0, text.find('\n'));
  if (text == "ready") return absl::OkStatus();
  if (text.empty()) {
    text = absl::StrCat(program, " ended before it was ready; see what it says: ", program, " --foreground");
  }
  return absl::UnavailableError(text);
}

}  // namespace

std::vector<std::string> DaemonEnvironment(char* const* environment) {
  std::vector<std::string> kept;
  for (; *environment != nullptr; ++environment) {
    const std::string_view variable(*environment);
    const bool wanted = std::any_of(kKept.begin(), kKept.end(), [variable](std::string_view prefix) {
      return variable.substr(0, prefix.size()) == prefix;
    });
    if (wanted) kept.emplace_back(variable);
  }
  return kept;
}

absl::StatusOr<int> ConnectSocket() {
  absl::Status ours = CheckRuntimeDirectory();
  if (absl::IsNotFound(ours)) return absl::UnavailableError("no daemon is running");
  if (!ours.ok()) return ours;
  const std::string path = RuntimeDirectory() + "/control.sock";
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return absl::FailedPreconditionError(absl::StrCat("the path of the socket is too long for the kernel (",
                                                      sizeof address.sun_path - 1, " bytes): ", path,
                                                      "; set XDG_RUNTIME_DIR to a shorter one"));
  }
  memcpy(address.sun_path, path.c_str(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd == -1) return absl::UnavailableError(absl::StrCat("cannot make a socket: ", strerror(errno)));
  const timeval patience = {kConnectSeconds, 0};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  const int error = errno;
  close(fd);
  if (error == ENOENT || error == ECONNREFUSED) return absl::UnavailableError("no daemon is running");
  if (error == EAGAIN) {
    return absl::DeadlineExceededError(absl::StrCat("the daemon behind ", path, " takes no connections"));
  }
  return absl::FailedPreconditionError(absl::StrCat("cannot connect to ", path, ": ", strerror(error)));
}

absl::StatusOr<int> StartAndConnect() {
  absl::StatusOr<int> connected = ConnectSocket();
  if (connected.ok() || !absl::IsUnavailable(connected.status())) return connected;
  if (absl::Status made = MakeRuntimeDirectory(); !made.ok()) return made;
  const absl::StatusOr<std::string> program = FindDaemon();
  if (!program.ok()) return program.status();

  const std::string lock_path = RuntimeDirectory() + "/start.lock";
  const int lock = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock == -1) return absl::UnavailableError(absl::StrCat("cannot open ", lock_path, ": ", strerror(errno)));
  const absl::Cleanup unlock = [lock] { close(lock); };
  if (absl::Status locked = Lock(lock, lock_path); !locked.ok()) return locked;
  connected = ConnectSocket();
  if (connected.ok() || !absl::IsUnavailable(connected.status())) return connected;

  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0)
    return absl::UnavailableError(absl::StrCat("cannot make a pipe: ", strerror(errno)));
  const absl::Cleanup close_ready = [&ready] { close(ready[0]); };
  const absl::Status spawned = Spawn(*program, ready[1]);
  close(ready[1]);
  if (!spawned.ok()) return spawned;
  if (absl::Status up = WaitReady(ready[0], *program); !up.ok()) return up;
  return ConnectSocket();
}

}  // namespace ocpwatch
