// The writer's side of the ring, and of synchronous calls.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

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
  settings.data_size = 16 * 1024;
  TestSession session(settings);
  session.Run({ProbePath(), "opens", "20000"});
  const auto frames = session.Frames();
  CHECK(After(frames, v1::OP_OPEN).size() == 20000);
  CHECK(After(frames, v1::OP_CLOSE).size() == 20000);
  CHECK(session.ring()->lost_frames == 0);
  CHECK(session.malformed() == 0);
}

TEST_CASE("A full ring whose daemon is dead lets the program go on at once") {
  const pid_t dead = fork();
  if (dead == 0) _exit(0);
  waitpid(dead, nullptr, 0);
  TestSession::Settings settings;
  settings.data_size = 16 * 1024;
  settings.read = false;
  TestSession session(settings);
  session.ring()->daemon_pid = dead;
  RunOptions options;
  // The ring is found through us, then its daemon is gone.
  settings.claimed_pid = 0;
  const double seconds = SecondsOf([&] {
    CHECK(WEXITSTATUS(session.Run({ProbePath(), "opens", "5000"}, options).wait_status) == 0);
  });
  // We live, so the writer waits for its bound; that is the slow case.
  CHECK(seconds >= 5);
  CHECK(seconds < 8);
  CHECK(session.ring()->state == static_cast<uint32_t>(RingState::kAbandoned));
  CHECK(session.ring()->lost_frames > 0);
  // All others stop without waiting.
  CHECK(SecondsOf([&] { session.Run({ProbePath(), "opens", "5000"}); }) < 2);
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
  session.Set("open", v1::BEHAVIOUR_SYNCHRONOUS);
  int asked = 0;
  session.OnSynchronous([&](const v1::Frame& frame) {
    if (frame.before().path() == "/etc/hostname") ++asked;
    v1::Reply reply;
    reply.mutable_proceed();
    return reply;
  });
  CHECK(WEXITSTATUS(session.Run({ProbePath(), "opens", "500"}).wait_status) == 0);
  CHECK(asked == 500);
  CHECK(After(session.Frames(), v1::OP_OPEN).size() == 500);
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

}  // namespace
}  // namespace ocpwatch
