#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <thread>

namespace ocpwatch {
namespace {

const std::vector<std::string> kEnvironment = {"PATH=/usr/bin:/bin"};

ChildEnd Shell(const std::string& script) { return RunChild(StartState(), {"sh", "-c", script}, kEnvironment); }

// A directory that goes with the test.
class Directory {
 public:
  Directory() { REQUIRE(mkdtemp(path_) != nullptr); }
  ~Directory() {
    if (system(("rm -rf " + path()).c_str()) != 0) FAIL("cannot remove " << path());
  }
  std::string path() const { return path_; }
  std::string Script(const std::string& name, const std::string& text, mode_t mode) const {
    std::string file = path() + "/" + name;
    std::ofstream(file) << text;
    chmod(file.c_str(), mode);
    return file;
  }

 private:
  char path_[32] = "/tmp/child-test-XXXXXX";
};

TEST_CASE("A command's exit status and its signal are told") {
  CHECK(Shell("exit 3").kind == ChildEnd::kExited);
  CHECK(Shell("exit 3").value == 3);
  const ChildEnd killed = Shell("kill -KILL $$");
  CHECK(killed.kind == ChildEnd::kSignalled);
  CHECK(killed.value == SIGKILL);
}

TEST_CASE("What cannot be executed is told as a shell tells it") {
  const Directory directory;
  const ChildEnd missing = RunChild(StartState(), {"no-such-command"}, kEnvironment);
  CHECK(missing.kind == ChildEnd::kNotStarted);
  CHECK(missing.value == 127);
  CHECK(missing.reason == "no-such-command: command not found in PATH");
  CHECK(RunChild(StartState(), {"/no/such/file"}, kEnvironment).value == 127);
  const ChildEnd plain = RunChild(StartState(), {directory.Script("data", "x", 0644)}, kEnvironment);
  CHECK(plain.kind == ChildEnd::kNotStarted);
  CHECK(plain.value == 126);
  CHECK(RunChild(StartState(), {directory.path()}, kEnvironment).value == 126);
}

TEST_CASE("A script without an interpreter line is given to sh") {
  const Directory directory;
  CHECK(RunChild(StartState(), {directory.Script("plain", "exit $1\n", 0755), "7"}, kEnvironment).value == 7);
}

TEST_CASE("A program is looked for along PATH as execvp does") {
  const Directory first;
  const Directory second;
  first.Script("tool", "", 0644);
  int error = 0;
  CHECK(FindProgram("tool", first.path(), &error).empty());
  CHECK(error == EACCES);
  const std::string found = second.Script("tool", "", 0755);
  CHECK(FindProgram("tool", first.path() + ":" + second.path(), &error) == found);
  CHECK(FindProgram("none", first.path() + ":", &error).empty());
  CHECK(error == ENOENT);
  CHECK(FindProgram("./x", "", &error) == "./x");
}

TEST_CASE("The command has the dispositions that we were started with") {
  const StartState start;  // Before the test changes what gRPC changes.
  signal(SIGPIPE, SIG_IGN);
  // Bit 12 of SigIgn is SIGPIPE.
  const ChildEnd end = RunChild(
      start, {"sh", "-c", "case $(awk '/SigIgn/ {print $2}' /proc/self/status) in *[13579bdf]\?\?\?) exit 1;; esac"},
      kEnvironment);
  signal(SIGPIPE, SIG_DFL);
  CHECK(end.value == 0);
}

TEST_CASE("An ignored signal stays ignored") {
  signal(SIGHUP, SIG_IGN);
  const StartState start;
  const ChildEnd end = RunChild(start, {"sh", "-c", "kill -HUP $$; exit 5"}, kEnvironment);
  signal(SIGHUP, SIG_DFL);
  CHECK(end.kind == ChildEnd::kExited);
  CHECK(end.value == 5);
}

TEST_CASE("A signal that is sent to us reaches the command") {
  const Directory directory;
  const std::string ready = directory.path() + "/ready";
  std::thread sender([&] {
    while (access(ready.c_str(), F_OK) != 0) usleep(1000);
    kill(getpid(), SIGTERM);
  });
  const ChildEnd end = Shell("trap 'exit 9' TERM; : > " + ready + "; while :; do sleep 0.01; done");
  sender.join();
  CHECK(end.kind == ChildEnd::kExited);
  CHECK(end.value == 9);
}

TEST_CASE("A command that signals its own group is not signalled twice") {
  // In a group of its own, so that only this test's processes are meant.
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    const ChildEnd end = Shell("n=0; trap 'n=$((n+1))' USR1; kill -USR1 0; sleep 0.05; sleep 0.05; exit $n");
    _exit(end.kind == ChildEnd::kExited ? end.value : 99);
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 1);
}

TEST_CASE("A command that somebody stops and continues is waited for") {
  const ChildEnd end = Shell("(sleep 0.05; kill -CONT $$) & kill -STOP $$; exit 4");
  CHECK(end.kind == ChildEnd::kExited);
  CHECK(end.value == 4);
}

TEST_CASE("We end by the command's signal") {
  const pid_t pid = fork();
  if (pid == 0) {
    ChildEnd end;
    end.kind = ChildEnd::kSignalled;
    end.value = SIGTERM;
    EndLike(end);
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGTERM);
}

}  // namespace
}  // namespace ocpwatch
