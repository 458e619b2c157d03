#include "cli/child.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>

namespace ocpwatch {
namespace {

constexpr int kNotFound = 127;
constexpr int kNotExecutable = 126;

// Those that mean the command, not us. SIGTSTP too: the terminal stops the whole group, but a program that handles it
// (an editor) first puts the terminal in order, and the shell must not take over before it has stopped.
constexpr std::array<int, 7> kForCommand = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGTSTP};

std::atomic<pid_t> command_pid{0};
// By signal: 1 + the sender of one that came before the command's pid was known; 0: none came.
std::array<std::atomic<int64_t>, 65> early_senders;

// A command that signals its own group (an editor that stops itself by kill(0, SIGTSTP)) does not mean itself twice.
bool GotIt(int signal, pid_t sender, pid_t command) {
  return sender == command || (signal == SIGTSTP && getpgid(sender) == getpgrp());
}

void PassOn(int signal, siginfo_t* info, void*) {
  // From the terminal (SI_KERNEL) the command has got it as well as we have.
  if (info->si_code > 0) return;
  const int saved = errno;
  const pid_t pid = command_pid.load();
  if (pid == 0) {
    early_senders[static_cast<size_t>(signal)] = int64_t{1} + info->si_pid;
  } else if (!GotIt(signal, info->si_pid, pid)) {
    kill(pid, signal);
  }
  errno = saved;
}

// Handlers for kForCommand while it lives. An exec sets handlers back to the default, so the command gets what we had.
class Handlers {
 public:
  explicit Handlers(const StartState& start) {
    struct sigaction action = {};
    action.sa_sigaction = PassOn;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (const int signal : kForCommand) {
      if (!start.ignored(signal)) sigaction(signal, &action, nullptr);
    }
    // Where it is ignored, the kernel reaps children by itself and their status is lost.
    if (start.ignored(SIGCHLD)) signal(SIGCHLD, SIG_DFL);
  }
  ~Handlers() {
    for (const int signal : kForCommand) {
      struct sigaction action = {};
      sigaction(signal, nullptr, &action);
      if ((action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == PassOn) ::signal(signal, SIG_DFL);
    }
  }
  Handlers(const Handlers&) = delete;
  Handlers& operator=(const Handlers&) = delete;
};

// Stops this process as `signal` of the terminal stopped the command, so that the shell sees its job stop; returns when
// it goes on. Not for SIGSTOP: whoever stops the command alone may continue it alone, and we must be there at its end.
void StopLike(int signal) {
  struct sigaction fallback = {};
  fallback.sa_handler = SIG_DFL;
  struct sigaction ours = {};
  sigset_t one;
  sigset_t mask;
  sigemptyset(&one);
  sigaddset(&one, signal);
  sigaction(signal, &fallback, &ours);
  pthread_sigmask(SIG_UNBLOCK, &one, &mask);
  kill(getpid(), signal);
  pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  sigaction(signal, &ours, nullptr);
}

// The shell continues the whole group, so the command need not be told, and a second SIGCONT would redraw an editor
// twice; but somebody may have continued us alone. 20 ms are what a busy machine may need to get to the second member.
bool GoesOn(pid_t pid) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    siginfo_t info = {};
    if (waitid(P_PID, static_cast<id_t>(pid), &info, WCONTINUED | WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == pid) {
      return true;
    }
    const timespec pause = {0, 2'000'000};
    nanosleep(&pause, nullptr);
  }
  return false;
}

int Spawn(const StartState& start, const std::string& program, const std::vector<std::string>& argv,
          const std::vector<std::string>& environment, const std::vector<Redirect>& redirects, pid_t* pid) {
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &start.mask());
  // What we or gRPC ignore (SIGPIPE) and the user did not; also the C library's own two signals, which posix_spawn
  // leaves ignored in the child and sigaddset does not take.
  uint64_t defaults_bits = 0;
  for (int signal = 1; signal <= 64; ++signal) {
    if (!start.ignored(signal)) defaults_bits |= uint64_t{1} << (signal - 1);
  }
  sigset_t defaults;
  sigemptyset(&defaults);
  memcpy(&defaults, &defaults_bits, sizeof defaults_bits);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const auto pointers = [](const std::vector<std::string>& words) {
    std::vector<char*> result;
    result.reserve(words.size() + 1);
    for (const std::string& word : words) result.push_back(const_cast<char*>(word.c_str()));
    result.push_back(nullptr);
    return result;
  };
  const std::vector<char*> arguments = pointers(argv);
  const std::vector<char*> variables = pointers(environment);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const Redirect& redirect : redirects) {
    for (const int to : redirect.to) posix_spawn_file_actions_adddup2(&actions, redirect.from, to);
  }
  const int error = posix_spawn(pid, program.c_str(), &actions, &attributes, arguments.data(), variables.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error;
}

ChildEnd NotStarted(const std::string& name, int error) {
  ChildEnd end;
  end.kind = ChildEnd::kNotStarted;
  end.value = error == ENOENT ? kNotFound : kNotExecutable;
  if (error == ENOENT) {
    end.reason = name.find('/') == std::string::npos ? name + ": command not found in PATH" : name + ": no such file";
  } else {
    end.reason = name + ": cannot be executed: " + strerror(error);
  }
  return end;
}

std::string PathOf(const std::vector<std::string>& environment) {
  for (const std::string& variable : environment) {
    if (variable.compare(0, 5, "PATH=") == 0) return variable.substr(5);
  }
  return kPathWithout;
}

}  // namespace

StartState::StartState() {
  pthread_sigmask(SIG_SETMASK, nullptr, &mask_);
  // The system call, since the library's sigaction refuses its own two signals, 32 and 33. The handler is the first
  // member of the kernel's structure on x86-64 and aarch64.
  for (size_t signal = 1; signal < ignored_.size(); ++signal) {
    std::array<uintptr_t, 4> action = {};
    ignored_[signal] = syscall(SYS_rt_sigaction, signal, nullptr, action.data(), sizeof(uint64_t)) == 0 &&
                       action[0] == reinterpret_cast<uintptr_t>(SIG_IGN);
  }
}

std::string FindProgram(const std::string& name, const std::string& path, int* error) {
  *error = ENOENT;
  if (name.find('/') != std::string::npos) return name;
  if (name.empty()) return "";
  size_t begin = 0;
  while (true) {
    const size_t end = std::min(path.find(':', begin), path.size());
    std::string candidate = path.substr(begin, end - begin);
    if (!candidate.empty()) candidate += '/';
    candidate += name;
    struct stat status = {};
    if (stat(candidate.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      if (access(candidate.c_str(), X_OK) == 0) return candidate;
      *error = EACCES;
    }
    if (end == path.size()) return "";
    begin = end + 1;
  }
}

ChildEnd RunChild(const StartState& start, const std::vector<std::string>& argv,
                  const std::vector<std::string>& environment, const std::vector<Redirect>& redirects) {
  // Kept by us they would keep the reader from its end of file.
  const auto close_ours = [&redirects] {
    for (const Redirect& redirect : redirects) close(redirect.from);
  };
  int error = 0;
  const std::string program = FindProgram(argv[0], PathOf(environment), &error);
  if (program.empty()) {
    close_ours();
    return NotStarted(argv[0], error);
  }

  const Handlers handlers(start);
  command_pid = 0;
  for (auto& sender : early_senders) sender = 0;
  pid_t pid = 0;
  error = Spawn(start, program, argv, environment, redirects, &pid);
  if (error == ENOEXEC) {  // A script without #!: execvp and the shells give it to sh.
    std::vector<std::string> script = {"/bin/sh", program};
    script.insert(script.end(), argv.begin() + 1, argv.end());
    error = Spawn(start, script[0], script, environment, redirects, &pid);
  }
  close_ours();
  if (error != 0) return NotStarted(argv[0], error);
  command_pid = pid;
  for (const int signal : kForCommand) {
    const int64_t sender = early_senders[static_cast<size_t>(signal)].exchange(0);
    if (sender != 0 && !GotIt(signal, static_cast<pid_t>(sender - 1), pid)) kill(pid, signal);
  }

  while (true) {
    siginfo_t info = {};
    // WNOWAIT: until it is reaped, the pid that the handler knows is the command's and nobody else's.
    if (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WSTOPPED | WNOWAIT) != 0) {
      if (errno == EINTR) continue;
      command_pid = 0;
      ChildEnd lost;
      lost.kind = ChildEnd::kExited;
      lost.value = kNotFound;
      lost.reason = std::string("cannot wait for the command: ") + strerror(errno);
      return lost;
    }
    const bool stopped = info.si_code == CLD_STOPPED || info.si_code == CLD_TRAPPED;
    if (!stopped) command_pid = 0;
    int status = 0;
    while (waitpid(pid, &status, WUNTRACED) == -1 && errno == EINTR) {
    }
    if (WIFSTOPPED(status)) {
      if (WSTOPSIG(status) == SIGSTOP) continue;
      StopLike(WSTOPSIG(status));
      if (!GoesOn(pid)) kill(pid, SIGCONT);
      continue;
    }
    ChildEnd end;
    end.kind = WIFSIGNALED(status) ? ChildEnd::kSignalled : ChildEnd::kExited;
    end.value = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    return end;
  }
}

void EndLike(const ChildEnd& end) {
  fflush(nullptr);
  if (end.kind == ChildEnd::kSignalled) {
    const rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(end.value, SIG_DFL);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, end.value);
    sigprocmask(SIG_UNBLOCK, &one, nullptr);
    kill(getpid(), end.value);
    _exit(128 + end.value);
  }
  // Not exit(): gRPC's threads need not be taken apart for a process that ends.
  _exit(end.value);
}

}  // namespace ocpwatch
