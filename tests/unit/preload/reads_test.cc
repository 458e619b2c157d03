// What a build session is told of reading: each descriptor once.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>

#include "tests/unit/preload/traced_run.h"

namespace ocpwatch {
namespace {

TestSession::Settings Build() {
  TestSession::Settings settings;
  settings.build = true;
  return settings;
}

// descriptor -> how often a read or a mapping of it is told by the process that the probe is.
std::map<int, int> ReadsOf(TestSession& session) {
  uint32_t probe = 0;
  std::map<int, int> reads;
  for (const v1::Frame& frame : session.Frames()) {
    if (frame.has_proc() && frame.proc().executable() == ProbePath()) probe = frame.process();
    if (!frame.has_after() || frame.process() != probe) continue;
    const v1::Op op = OpOf(frame.after().function());
    if (op == v1::OP_READ || op == v1::OP_MAP) ++reads[frame.after().fd()];
  }
  return reads;
}

std::vector<std::string> Shell(const std::string& command) { return {"/bin/sh", "-c", command}; }

TEST_CASE("Reading standard input is told once, whatever reads") {
  RunOptions untraced;
  untraced.traced = false;
  for (const std::string how :
       {"read", "readv", "syscall", "fread", "fread_unlocked", "fgets", "fgetc", "getc", "getc_unlocked", "getchar",
        "getline", "getdelim", "scanf", "fscanf", "wscanf", "fgetwc", "fgetws"}) {
    INFO(how);
    const std::vector<std::string> argv = Shell("echo 12 34 56 | " + ProbePath() + " reads " + how);
    TestSession session(Build());
    const RunResult result = session.Run(argv);
    CHECK(result.out == session.Run(argv, untraced).out);
    CHECK(ReadsOf(session) == std::map<int, int>{{0, 1}});
    TestSession record;
    record.Run(argv);
    CHECK(ReadsOf(record).empty());
  }
}

TEST_CASE("A read is told again when its descriptor has become another") {
  TestSession session(Build());
  session.Run(Shell("echo long enough | " + ProbePath() + " reads-anew"));
  CHECK(ReadsOf(session) == std::map<int, int>{{0, 3}});
}

TEST_CASE("Reads of a file that the process has opened are not told, but those of what only a vfork child replaced") {
  char path[] = "/tmp/reads-XXXXXX";
  const int fd = mkstemp(path);
  REQUIRE(write(fd, "some text", 9) == 9);
  close(fd);
  TestSession session(Build());
  session.Run(Shell("echo x | " + ProbePath() + " reads-own " + path));
  CHECK(ReadsOf(session) == std::map<int, int>{{0, 1}});
  unlink(path);
}

TEST_CASE("A mapping of standard input is told, and one of nothing is not") {
  TestSession session(Build());
  const RunResult result = session.Run(Shell(ProbePath() + " maps < /etc/passwd"));
  CHECK(result.wait_status == 0);
  CHECK(ReadsOf(session) == std::map<int, int>{{0, 1}});
}

TEST_CASE("A failed read is told, and so is the one that succeeds then") {
  TestSession session(Build());
  session.Run({ProbePath(), "reads-late"});
  CHECK(ReadsOf(session) == std::map<int, int>{{0, 2}});
}

TEST_CASE("Where reads are wanted each, each is told") {
  TestSession session;
  session.Set("read", v1::BEHAVIOUR_AFTER);
  session.Run(Shell("echo x | " + ProbePath() + " reads read"));
  CHECK(ReadsOf(session) == std::map<int, int>{{0, 2}});
}

}  // namespace
}  // namespace ocpwatch
