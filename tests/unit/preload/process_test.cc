// Forks, execs, spawns, ends: who is who in what a traced process tells.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "tests/unit/preload/traced_run.h"

namespace ocpwatch {
namespace {

using Frames = std::vector<v1::Frame>;

// The last status told for a process, or -1.
int64_t ExitOf(const Frames& frames, uint32_t process) {
  int64_t status = -1;
  for (const v1::Frame& frame : Before(frames, v1::OP_EXIT)) {
    if (frame.process() == process) status = frame.before().value();
  }
  return status;
}

// The processes whose calls look up the path.
std::set<uint32_t> WhoLooksUp(const Frames& frames, const std::string& path) {
  std::set<uint32_t> result;
  for (const v1::Frame& frame : After(frames, v1::OP_ACCESS)) {
    if (frame.after().path() == path) result.insert(frame.process());
  }
  return result;
}

TEST_CASE("A program announces itself with its arguments, directory and libraries") {
  TestSession session;
  RunOptions options;
  options.directory = "/usr";
  session.Run({"/bin/ls", "-d", "", "a b"}, options);
  const Frames images = Images(session.Frames());
  REQUIRE(images.size() == 1);
  const v1::Proc& proc = images[0].proc();
  CHECK(images[0].process() == 1);
  CHECK(proc.executable() == "/usr/bin/ls");
  CHECK(proc.requested() == "/bin/ls");
  CHECK(proc.cwd() == "/usr");
  CHECK(std::vector<std::string>(proc.argv().begin(), proc.argv().end()) ==
        std::vector<std::string>{"/bin/ls", "-d", "", "a b"});
  const std::vector<std::string> libraries(proc.libraries().begin(), proc.libraries().end());
  CHECK(Contains(libraries, "/lib64/ld-linux-x86-64.so.2"));
  CHECK(Contains(libraries, "/lib/x86_64-linux-gnu/libc.so.6"));
  CHECK(Contains(libraries, "/lib/x86_64-linux-gnu/libselinux.so.1"));
  CHECK_FALSE(Contains(libraries, PreloadPath()));
  CHECK(proc.protocol() == kProtocol);
  CHECK_FALSE(proc.through_opaque());
}

TEST_CASE("Every way to make a child gives it a number that is told before its first frame") {
  TestSession session;
  const RunResult result = session.Run({ProbePath(), "children", "/bin/true"});
  CHECK(result.out == "3\n0\n5\n0\n0\n2\n1792\n2304\n");
  const Frames frames = session.Frames();
  std::set<uint32_t> told = {1};
  for (const v1::Frame& frame : frames) {
    CHECK(told.count(frame.process()) == 1);
    if (frame.has_before() && frame.before().child() != 0) CHECK(told.insert(frame.before().child()).second);
  }
  CHECK(told.size() == 9);  // Itself, fork, vfork twice, spawn, two spawnp, system, popen.
  CHECK(Before(frames, v1::OP_FORK).size() == 3);
  CHECK(Before(frames, v1::OP_SPAWN).size() == 5);
  CHECK(Images(frames).size() == 6);
  // The pid that the parent learns is the one that the child has.
  std::map<uint32_t, int64_t> pids;
  for (const v1::Frame& frame : frames) {
    if (frame.has_proc()) pids[frame.process()] = frame.proc().pid();
  }
  for (const v1::Frame& frame : After(frames, v1::OP_SPAWN)) {
    if (frame.after().error() == 0) CHECK(pids[frame.after().child()] == frame.after().value());
  }
  // Each wait names a pid and a status.
  std::multiset<int64_t> statuses;
  for (const v1::Frame& frame : After(frames, v1::OP_WAIT)) {
    CHECK(frame.after().result() > 0);
    statuses.insert(frame.after().value());
  }
  CHECK(statuses == std::multiset<int64_t>{0, 0, 0, 3 << 8, 5 << 8, 7 << 8, 9 << 8});
  CHECK(session.malformed() == 0);
}

TEST_CASE("A vfork child's calls carry its number and the parent's carry the parent's again, also when nested") {
  TestSession session;
  CHECK(session.Run({ProbePath(), "nested", "/bin/true"}).out == "4\n");
  const Frames frames = session.Frames();
  CHECK(WhoLooksUp(frames, "/outer") == std::set<uint32_t>{1});
  CHECK(WhoLooksUp(frames, "/middle") == std::set<uint32_t>{2});
  CHECK(WhoLooksUp(frames, "/inner") == std::set<uint32_t>{3});
  CHECK(ExitOf(frames, 2) == 4);
}

TEST_CASE("Children of clone are followed where that is possible") {
  TestSession session;
  CHECK(session.Run({ProbePath(), "clones"}).out == "6\n6\n");
  const Frames frames = session.Frames();
  CHECK(WhoLooksUp(frames, "/cloned") == std::set<uint32_t>{2});
  CHECK(WhoLooksUp(frames, "/vcloned") == std::set<uint32_t>{3});
  CHECK(WhoLooksUp(frames, "/parent") == std::set<uint32_t>{1});
  CHECK(ExitOf(frames, 2) == 6);
  CHECK(ExitOf(frames, 3) == 6);
}

TEST_CASE("Each candidate that execlp tries along PATH is told, the missing ones with their error") {
  TestSession session;
  RunOptions options;
  options.environment = {"PATH=/nonexistent::/etc/passwd:/usr/bin:/bin"};
  session.Run({ProbePath(), "search", "true"}, options);
  const Frames frames = session.Frames();
  std::vector<std::string> tried;
  for (const v1::Frame& frame : Before(frames, v1::OP_EXEC)) tried.push_back(frame.before().path());
  CHECK(tried == std::vector<std::string>{"/nonexistent/true", "true", "/etc/passwd/true", "/usr/bin/true"});
  std::vector<int> errors;
  for (const v1::Frame& frame : After(frames, v1::OP_EXEC)) errors.push_back(frame.after().error());
  CHECK(errors == std::vector<int>{ENOENT, ENOENT, ENOTDIR});
  const v1::BeforeCall last = Before(frames, v1::OP_EXEC).back().before();
  CHECK(std::vector<std::string>(last.argv().begin(), last.argv().end()) ==
        std::vector<std::string>{"true", "one", "two"});
}

TEST_CASE("Exit statuses are told for every way to end") {
  const std::map<std::string, int> ways = {{"_exit", 11}, {"quick_exit", 12}, {"exit", 13}, {"return", 14}};
  for (const auto& [way, status] : ways) {
    TestSession session;
    CHECK(WEXITSTATUS(session.Run({ProbePath(), "exits", way}).wait_status) == status);
    CHECK(ExitOf(session.Frames(), 1) == status);
  }
  TestSession session;
  const int status = session.Run({ProbePath(), "exits", "abort"}).wait_status;
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
}

TEST_CASE("A process killed by SIGKILL loses nothing that it did before") {
  for (int count : {0, 1, 17, 300}) {
    TestSession session;
    const RunResult result = session.Run({ProbePath(), "die", std::to_string(count)});
    CHECK(WTERMSIG(result.wait_status) == SIGKILL);
    CHECK(After(session.Frames(), v1::OP_STAT).size() == static_cast<size_t>(count));
  }
}

TEST_CASE("A signal handler that opens files between two frames spoils neither") {
  TestSession session;
  const RunResult result = session.Run({ProbePath(), "signals", "20000"});
  const size_t alarms = static_cast<size_t>(std::stoul(result.out));
  const Frames frames = session.Frames();
  CHECK(alarms > 0);
  CHECK(After(frames, v1::OP_STAT).size() == 20000);
  CHECK(After(frames, v1::OP_OPEN).size() == alarms);
  CHECK(session.malformed() == 0);
}

TEST_CASE("Eight threads that stat and spawn at once lose no frame") {
  TestSession session;
  session.Run({ProbePath(), "threads"});
  const Frames frames = session.Frames();
  std::map<std::string, int> next;
  size_t stats = 0;
  for (const v1::Frame& frame : After(frames, v1::OP_STAT)) {
    const std::string& path = frame.after().path();
    if (path.rfind("/thread", 0) != 0) continue;
    ++stats;
    const size_t slash = path.find('/', 1);
    CHECK(std::stoi(path.substr(slash + 1)) == next[path.substr(0, slash)]++);  // In each thread's order.
  }
  CHECK(stats == 40000);
  CHECK(Images(frames).size() == 41);
  CHECK(session.malformed() == 0);
}

TEST_CASE("Arguments of two mebibytes arrive whole") {
  TestSession session;
  std::vector<std::string> argv = {ProbePath(), "arguments"};
  for (int i = 0; i < 20; ++i) argv.push_back(std::string(100'000, static_cast<char>('a' + i)));
  CHECK(session.Run(argv).out == "20 2000000\n");
  std::vector<std::string> told;
  for (const v1::Frame& frame : session.Frames()) {
    if (frame.has_proc()) told.insert(told.end(), frame.proc().argv().begin(), frame.proc().argv().end());
  }
  CHECK(told == argv);
}

TEST_CASE("Arguments of an exec that do not fit one frame follow in others with the same id") {
  TestSession session;
  std::vector<std::string> argv = {"/usr/bin/env", "/bin/echo"};
  for (int i = 0; i < 8; ++i) argv.push_back(std::string(100'000, 'x'));
  session.Run(argv);
  std::map<uint32_t, size_t> sizes;
  std::map<uint32_t, bool> complete;
  for (const v1::Frame& frame : Before(session.Frames(), v1::OP_EXEC)) {
    sizes[frame.before().id()] += static_cast<size_t>(frame.before().argv_size());
    complete[frame.before().id()] = !frame.before().more();
  }
  REQUIRE_FALSE(sizes.empty());
  CHECK(sizes.rbegin()->second == 9);
  CHECK(complete.rbegin()->second);
}

TEST_CASE("Arguments and environment that together do not fit one frame both arrive whole") {
  TestSession::Settings settings;
  settings.build = true;
  TestSession session(settings);
  RunOptions options;
  options.environment = {"PATH=/bin:/usr/bin"};
  for (int i = 0; i < 3; ++i) options.environment.push_back("V" + std::to_string(i) + "=" + std::string(90'000, 'v'));
  std::vector<std::string> argv = {"/usr/bin/env", "/bin/echo"};
  for (int i = 0; i < 4; ++i) argv.push_back(std::string(100'000, 'x'));
  session.Run(argv, options);
  std::vector<std::string> exec_argv, exec_environment, image_environment;
  for (const v1::Frame& frame : session.Frames()) {
    for (const std::string& variable : frame.proc().environment()) image_environment.push_back(variable);
    if (!frame.has_before() || OpOf(frame.before().function()) != v1::OP_EXEC) continue;
    for (const std::string& argument : frame.before().argv()) exec_argv.push_back(argument);
    for (const std::string& variable : frame.before().environment()) exec_environment.push_back(variable);
  }
  CHECK(exec_argv == std::vector<std::string>(argv.begin() + 1, argv.end()));
  CHECK(exec_environment == options.environment);
  CHECK(image_environment.size() == 2 * options.environment.size());
}

TEST_CASE("System calls by number are told as the functions that they are") {
  TestSession session;
  CHECK(session.Run({ProbePath(), "raw"}).out == "0\n");
  const Frames frames = session.Frames();
  CHECK(Contains(Paths(frames, v1::OP_OPEN), "/etc/hostname"));
  CHECK(Contains(Paths(frames, v1::OP_OPEN), "/etc/passwd"));
  CHECK(Contains(Paths(frames, v1::OP_UNLINK), "/nonexistent/raw"));
  CHECK(WhoLooksUp(frames, "/raw-child") == std::set<uint32_t>{2});
  CHECK(Images(frames).size() == 2);
  const Frames raw = After(frames, v1::OP_RAW);
  CHECK(std::any_of(raw.begin(), raw.end(),
                    [](const v1::Frame& frame) { return frame.after().opaque() == v1::OPAQUE_IO_URING; }));
}

TEST_CASE("A process reached through one that could not be observed takes a number of its own") {
  TestSession session;
  // As a static shell would hand it on: a variable that speaks of another process.
  const std::string preload = "LD_PRELOAD=" + PreloadPath();
  const std::string watch = std::string(kWatchVariable) + "=" + session.WatchVariable(5, getppid(), 0);
  RunOptions options;
  options.traced = false;
  options.environment = {"PATH=/bin", preload, watch};
  session.ring()->next_process = 6;
  session.Run({"/bin/true"}, options);
  const Frames images = Images(session.Frames());
  REQUIRE(images.size() == 1);
  CHECK(images[0].process() == 6);
  CHECK(images[0].proc().parent() == 5);
  CHECK(images[0].proc().through_opaque());
}

}  // namespace
}  // namespace ocpwatch
