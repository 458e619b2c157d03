// What the daemon answers to an exec or spawn is done: other descriptors, or words and a status in place of a program.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/preload/traced_run.h"

namespace ocpwatch {
namespace {

namespace fs = std::filesystem;

// A directory for a test's files.
class Directory {
 public:
  Directory() {
    char name[] = "/tmp/answer-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~Directory() { fs::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string Path(const std::string& name) const { return path_ + "/" + name; }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name), std::ios::binary) << text;
    return Path(name);
  }

 private:
  std::string path_;
};

std::string Content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The daemon's end of a substitute.
class Pipe {
 public:
  Pipe() {
    if (pipe2(fds_, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
  }
  ~Pipe() {
    close(fds_[0]);
    close(fds_[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  std::string Path() const { return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fds_[1]); }
  std::string Received() const {
    std::string text;
    char buffer[4096];
    for (ssize_t size = 1; size > 0;) {
      size = read(fds_[0], buffer, sizeof buffer);
      if (size > 0) text.append(buffer, static_cast<size_t>(size));
    }
    return text;
  }

 private:
  int fds_[2];
};

bool Is(const v1::Frame& frame, const std::string& argument) {
  for (const std::string& one : frame.before().argv()) {
    if (one == argument) return true;
  }
  return false;
}

v1::Reply Proceed() {
  v1::Reply reply;
  reply.mutable_proceed();
  return reply;
}

v1::Reply KillWith(int status, const std::vector<std::pair<int, std::string>>& words) {
  v1::Reply reply;
  reply.mutable_kill()->set_exit_status(status);
  for (const auto& [fd, path] : words) {
    v1::Words* const one = reply.mutable_kill()->add_words();
    one->set_fd(fd);
    one->set_path(path);
  }
  return reply;
}

v1::Reply SubstituteFor(const std::vector<int>& fds, const std::string& path) {
  v1::Reply reply;
  v1::Substitute* const one = reply.mutable_proceed()->add_substitutes();
  for (int fd : fds) one->add_fds(fd);
  one->set_path(path);
  return reply;
}

class BuildSession : public TestSession {
 public:
  BuildSession() : TestSession(BuildSettings()) {}
  // To execs and spawns with that argument.
  void Answer(const std::string& argument, const v1::Reply& reply) {
    OnSynchronous([=](const v1::Frame& frame) { return Is(frame, argument) ? reply : Proceed(); });
  }

 private:
  static Settings BuildSettings() {
    Settings settings;
    settings.build = true;
    return settings;
  }
};

// The program and its arguments, as `start HOW` wants them.
std::vector<std::string> StartBy(const std::string& how) {
  std::vector<std::string> argv = {ProbePath(), "start", how};
  if (how == "system") {
    argv.emplace_back("/bin/echo ran; exit 3");
  } else {
    argv.insert(argv.end(), {how == "spawnp" ? "sh" : "/bin/sh", "-c", "/bin/echo ran; exit 3"});
  }
  return argv;
}

constexpr char kScript[] = "/bin/echo ran; exit 3";

TEST_CASE("A command that is killed says its words, and ends with its status, whoever starts it") {
  const Directory directory;
  const std::string out = directory.Write("out", "words\n"), err = directory.Write("err", "more\n");
  for (const std::string how : {"fork", "vfork", "spawn", "spawnp", "system"}) {
    INFO(how);
    BuildSession session;
    session.Answer(kScript, KillWith(42, {{1, out}, {2, err}}));
    const RunResult result = session.Run(StartBy(how));
    CHECK(result.out == "before\nwords\n42\nafter\n");
    CHECK(result.err == "more\n");
  }
  BuildSession session;
  session.Answer(kScript, KillWith(42, {{1, out}, {2, err}}));
  const RunResult result = session.Run(StartBy("exec"));
  CHECK(result.out == "before\nwords\n");
  CHECK(result.err == "more\n");
  CHECK(WEXITSTATUS(result.wait_status) == 42);
}

TEST_CASE("A substitute takes the output of the command alone, whoever starts it") {
  for (const std::string how : {"fork", "vfork", "exec", "spawn", "spawnp", "system"}) {
    INFO(how);
    const Pipe pipe;
    BuildSession session;
    session.Answer(kScript, SubstituteFor({1, 2}, pipe.Path()));
    const RunResult result = session.Run(StartBy(how));
    CHECK(pipe.Received() == "ran\n");
    CHECK(result.out == (how == "exec" ? "before\n" : "before\n3\nafter\n"));
    CHECK(result.err.empty());
  }
}

TEST_CASE("A program that is spawned by the helper is who it was to be") {
  const Pipe pipe;
  BuildSession session;
  session.OnSynchronous(
      [&](const v1::Frame& frame) { return Is(frame, "-0") ? SubstituteFor({1}, pipe.Path()) : Proceed(); });
  RunOptions options;
  options.environment = {"PATH=/usr/bin:/bin", "A=1"};
  session.Run({ProbePath(), "start", "spawnp", "env", "-0"}, options);
  CHECK(pipe.Received() == std::string("PATH=/usr/bin:/bin\0A=1\0", 23));
  const auto frames = session.Frames();
  const auto images = Images(frames);
  REQUIRE(images.size() == 2);
  const auto spawns = After(frames, v1::OP_SPAWN);
  REQUIRE(spawns.size() == 1);
  CHECK(images[1].process() == spawns[0].after().child());
  CHECK(images[1].proc().pid() == spawns[0].after().value());
  CHECK_FALSE(images[1].proc().through_opaque());
  CHECK(images[1].proc().executable() == "/usr/bin/env");
  CHECK(images[1].proc().requested() == "/usr/bin/env");
  CHECK(images[1].proc().argv(0) == "env");
}

TEST_CASE("A substituted program finds no other descriptor than its own") {
  std::vector<std::string> seen;
  for (const bool substituted : {false, true}) {
    for (const std::string how : {"fork", "spawn", "exec"}) {
      const Pipe pipe;
      BuildSession session;
      if (substituted) session.Answer("/proc/self/fd", SubstituteFor({2}, pipe.Path()));
      seen.push_back(session.Run({ProbePath(), "start", how, "/bin/ls", "/proc/self/fd"}).out);
    }
  }
  for (int i = 0; i < 3; ++i) CHECK(seen[i] == seen[i + 3]);
}

TEST_CASE("What a killed spawn was to do to its descriptors and group is done") {
  const Directory directory;
  const std::string out = directory.Write("words", "words\n"), err = directory.Write("more", "more\n");
  BuildSession session;
  session.Answer("unseen", KillWith(7, {{1, out}, {2, err}}));
  const RunResult result =
      session.Run({ProbePath(), "spawn-redirected", directory.Path("file"), "/bin/echo", "unseen"});
  CHECK(result.out == "own group\n7\n");
  CHECK(result.err.empty());
  CHECK(Content(directory.Path("file")) == "words\nmore\n");
}

TEST_CASE("An exec that fails leaves its caller's descriptors as they were") {
  const Directory directory;
  const std::string text = directory.Write("text", "no program\n");
  fs::permissions(text, fs::perms::owner_all);
  const Pipe pipe;
  BuildSession session;
  const RunResult untouched = session.Run({ProbePath(), "exec-fails", text});
  session.Answer(text, SubstituteFor({1, 2}, pipe.Path()));
  const RunResult result = session.Run({ProbePath(), "exec-fails", text});
  CHECK(result.out == untouched.out);
  CHECK(result.out.find("-1 Exec format error\n") == 0);
  CHECK(pipe.Received().empty());
}

TEST_CASE("A text without an interpreter that is spawned fails as it does untraced") {
  const Directory directory;
  const std::string text = directory.Write("text", "no program\n");
  fs::permissions(text, fs::perms::owner_all);
  const Pipe pipe;
  BuildSession session;
  session.Answer(text, SubstituteFor({1}, pipe.Path()));
  RunOptions untraced;
  untraced.traced = false;
  CHECK(session.Run({ProbePath(), "spawn-redirected", directory.Path("x"), text}).wait_status ==
        session.Run({ProbePath(), "spawn-redirected", directory.Path("x"), text}, untraced).wait_status);
}

TEST_CASE("A text that the shell interprets is asked for twice, and both answers hold") {
  const Directory directory;
  const std::string text = directory.Write("text", "echo from the shell\n");
  fs::permissions(text, fs::perms::owner_all);
  const Pipe pipe;
  BuildSession session;
  int asked = 0;
  session.OnSynchronous([&](const v1::Frame& frame) {
    if (!Is(frame, text)) return Proceed();
    ++asked;
    return SubstituteFor({1}, pipe.Path());
  });
  session.Run({ProbePath(), "search", text});
  CHECK(asked == 2);
  CHECK(pipe.Received() == "from the shell\n");
}

TEST_CASE("Words that nobody reads end the process by SIGPIPE, and where that is ignored by a failure") {
  const Directory directory;
  const std::string out = directory.Write("out", "words\n");
  BuildSession session;
  session.Answer("unseen", KillWith(0, {{1, out}}));
  CHECK(session.Run({ProbePath(), "broken-pipe", "default", "/bin/echo", "unseen"}).out ==
        std::to_string(128 + SIGPIPE) + "\n");
  CHECK(session.Run({ProbePath(), "broken-pipe", "ignored", "/bin/echo", "unseen"}).out == "1\n");
}

TEST_CASE("A megabyte of words comes whole, also through a pipe that does not block") {
  const Directory directory;
  std::string words;
  for (int i = 0; words.size() < (1 << 20); ++i) words += std::to_string(i) + "\n";
  const std::string out = directory.Write("out", words);
  for (const std::string how : {"vfork", "spawn"}) {
    BuildSession session;
    session.Answer("unseen", KillWith(0, {{1, out}}));
    CHECK(session.Run({ProbePath(), "start", how, "/bin/echo", "unseen"}).out == "before\n" + words + "0\nafter\n");
  }
  BuildSession session;
  session.Answer("unseen", KillWith(9, {{1, out}}));
  CHECK(session.Run({ProbePath(), "nonblocking", "/bin/echo", "unseen"}).out == std::to_string(words.size()) + "\n9\n");
}

TEST_CASE("Answers inside of answers: a substituted shell whose own commands are substituted and killed") {
  const Directory directory;
  const std::string out = directory.Write("out", "words\n");
  const Pipe outer, inner;
  BuildSession session;
  session.OnSynchronous([&](const v1::Frame& frame) {
    if (Is(frame, "-c")) return SubstituteFor({1}, outer.Path());
    if (Is(frame, "inner")) return SubstituteFor({1}, inner.Path());
    if (Is(frame, "unseen")) return KillWith(5, {{1, out}});
    return Proceed();
  });
  const RunResult result = session.Run(
      {ProbePath(), "start", "spawn", "/bin/sh", "-c", "/bin/echo inner; /bin/echo unseen; echo $?; exit 2"});
  CHECK(result.out == "before\n2\nafter\n");
  CHECK(inner.Received() == "inner\n");
  CHECK(outer.Received() == "words\n5\n");
}

TEST_CASE("A substitute that is not there leaves the descriptor, and words that are not there let the command run") {
  for (const std::string how : {"fork", "vfork", "spawn"}) {
    BuildSession session;
    session.Answer(kScript, SubstituteFor({1}, "/nonexistent/pipe"));
    CHECK(session.Run(StartBy(how)).out == "before\nran\n3\nafter\n");
    session.Answer(kScript, KillWith(42, {{1, "/nonexistent/words"}}));
    CHECK(session.Run(StartBy(how)).out == "before\nran\n3\nafter\n");
  }
}

TEST_CASE("A substitute is not even opened where a descriptor is short") {
  for (const std::string how : {"fork", "vfork"}) {
    INFO(how);
    const Pipe pipe;
    BuildSession session;
    session.Answer(kScript, SubstituteFor({1, 2}, pipe.Path()));
    for (int limit = 4; limit < 8; ++limit) {
      RunOptions options;
      options.descriptor_limit = limit;
      // Two originals, and the substitute.
      const RunResult result = session.Run(StartBy(how), options);
      const bool substituted = limit >= 6;
      CHECK(result.out == (substituted ? "before\n3\nafter\n" : "before\nran\n3\nafter\n"));
      CHECK(pipe.Received() == (substituted ? "ran\n" : ""));
    }
  }
}

TEST_CASE("Without the helper beside the library a spawned command runs as it is") {
  const Directory directory;
  const std::string library = directory.Path("libocpwatch-preload.so");
  fs::copy_file(PreloadPath(), library);
  const std::string out = directory.Write("out", "words\n");
  const Pipe pipe;
  RunOptions options;
  options.library = library;
  BuildSession session;
  session.Answer(kScript, KillWith(42, {{1, out}}));
  CHECK(session.Run(StartBy("spawn"), options).out == "before\nran\n3\nafter\n");
  session.Answer(kScript, SubstituteFor({1}, pipe.Path()));
  CHECK(session.Run(StartBy("spawn"), options).out == "before\nran\n3\nafter\n");
  CHECK(pipe.Received().empty());
}

TEST_CASE("Candidates of a search that do not exist are not asked for") {
  BuildSession session;
  int asked = 0;
  session.OnSynchronous([&](const v1::Frame&) {
    ++asked;
    return Proceed();
  });
  RunOptions options;
  options.environment = {"PATH=/nonexistent:/nonexistent/too:/bin"};
  session.Run({ProbePath(), "search", "true"}, options);
  CHECK(asked == 1);
  session.Run({ProbePath(), "start", "spawnp", "no-such-program"}, options);
  CHECK(asked == 1);
}

TEST_CASE("An answer that makes no sense lets the command run") {
  BuildSession session;
  v1::Reply reply;
  reply.mutable_bitmap()->set_refused("no");
  session.Answer(kScript, reply);
  CHECK(session.Run(StartBy("vfork")).out == "before\nran\n3\nafter\n");
}

}  // namespace
}  // namespace ocpwatch
