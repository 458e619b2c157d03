#include "daemon/service/monitor_service.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdio>
#include <fstream>

#include "ocpwatch/v1/version.h"
#include "tests/unit/service/test_server.h"

namespace ocpwatch {
namespace {

using grpc::StatusCode;

// Of the session with `id` once it has ended, which takes a moment where nobody waits for it.
v1::Session Ended(TestServer* server, const std::string& id) {
  for (int i = 0; i < 500; i++) {
    const v1::ListSessionsReply list = server->List();
    for (const v1::Session& session : list.sessions()) {
      if (session.id() == id && session.state() != v1::SESSION_RUNNING) return session;
    }
    usleep(10'000);
  }
  FAIL("session " << id << " does not end");
  return {};
}

grpc::Status Remove(TestServer* server, const v1::RemoveSessionsRequest& request, v1::RemoveSessionsReply* reply) {
  grpc::ClientContext context;
  return server->stub().RemoveSessions(&context, request, reply);
}

TEST_CASE("A session goes from Start to Finish and its row tells what it was") {
  TestServer server;
  TestRun run(&server);
  auto start = TestRun::Command({"cc", "-c", "a.c"});
  start.set_name("nightly");
  const std::string id = run.Start(start);
  CHECK(run.started().preload() == "/lib/preload.so");
  CHECK_THAT(run.started().watch_variable(), Catch::StartsWith("OCP_WATCH=" + std::to_string(kProtocol) + ":") &&
                                                 Catch::Contains(":1:0:4711:") &&
                                                 Catch::EndsWith(server.scratch().path() + "/intercept.sock"));
  run.WriteImage({"cc", "-c", "a.c"});
  run.WriteOpen("a.c");
  run.WriteOpen("a.h", ENOENT);
  const v1::Session session = run.Finish(3);
  CHECK(session.id() == id);
  CHECK(session.name() == "nightly");
  CHECK(session.state() == v1::SESSION_FINISHED);
  CHECK(session.exit_status() == 3);
  CHECK(session.argv(2) == "a.c");
  CHECK(session.commands() == 1);
  CHECK(session.events() >= 3);
  CHECK(session.mode() == "record");
  REQUIRE(server.List().sessions_size() == 1);
  CHECK(server.List().sessions(0).events() == session.events());
}

TEST_CASE("Sessions of many clients run beside each other") {
  TestServer server;
  constexpr int kRuns = 20;
  std::vector<std::unique_ptr<TestRun>> runs;
  for (int i = 0; i < kRuns; i++) {
    runs.push_back(std::make_unique<TestRun>(&server));
    runs.back()->Start(TestRun::Command({"true"}));
    runs.back()->WriteImage({"true"});
    for (int j = 0; j <= i; j++) runs.back()->WriteOpen("file" + std::to_string(j));
  }
  CHECK(server.registry().running() == kRuns);
  std::vector<uint64_t> events;
  events.reserve(kRuns);
  for (auto& run : runs) events.push_back(run->Finish(0).events());
  for (int i = 1; i < kRuns; i++) CHECK(events[i] == events[i - 1] + 1);
  CHECK(server.registry().running() == 0);
}

TEST_CASE("One session more than the limit is refused, and place is made when one ends") {
  TestServer server;
  std::vector<std::unique_ptr<TestRun>> runs;
  runs.reserve(kMaxRunningSessions);
  for (size_t i = 0; i < kMaxRunningSessions; i++) {
    runs.push_back(std::make_unique<TestRun>(&server));
    runs.back()->Start(TestRun::Command({"true"}));
  }
  CHECK(TestRun(&server).Refused(TestRun::Command({"true"})).error_code() == StatusCode::RESOURCE_EXHAUSTED);
  // Queries have threads of their own.
  CHECK(server.List().sessions_size() == kMaxRunningSessions);
  runs.back()->Finish(0);
  TestRun last(&server);
  last.Start(TestRun::Command({"true"}));
  last.Finish(0);
}

TEST_CASE("A client that goes away ends its session, and that is said") {
  TestServer server;
  auto run = std::make_unique<TestRun>(&server);
  const std::string id = run->Start(TestRun::Command({"make"}));
  run->WriteImage({"make"});
  run->GoAway();
  const v1::Session session = Ended(&server, id);
  CHECK(session.end_unknown() == "the client went away");
  CHECK(session.events() >= 1);
}

TEST_CASE("A command that could not be started is told with its reason") {
  TestServer server;
  grpc::ClientContext context;
  auto stream = server.stub().RunSession(&context);
  v1::RunRequest request;
  *request.mutable_start() = TestRun::Command({"nosuch"});
  v1::RunReply reply;
  REQUIRE((stream->Write(request) && stream->Read(&reply)));
  request.mutable_finish()->set_not_started("not found");
  REQUIRE((stream->Write(request) && stream->Read(&reply)));
  CHECK_THAT(reply.finished().end_unknown(), Catch::Contains("not found"));
}

TEST_CASE("A first message that is no Start, a Start without a command and unknown calls are refused") {
  TestServer server;
  {
    grpc::ClientContext context;
    auto stream = server.stub().RunSession(&context);
    v1::RunRequest request;
    request.mutable_finish()->set_exit_status(0);
    stream->Write(request);
    CHECK(stream->Finish().error_code() == StatusCode::INVALID_ARGUMENT);
  }
  CHECK(TestRun(&server).Refused(TestRun::Command({})).error_code() == StatusCode::INVALID_ARGUMENT);
  auto start = TestRun::Command({"true"});
  start.add_calls("opem=off");
  const grpc::Status status = TestRun(&server).Refused(start);
  CHECK(status.error_code() == StatusCode::INVALID_ARGUMENT);
  CHECK_THAT(status.error_message(), Catch::Contains("opem") && Catch::Contains("open"));
  CHECK(server.List().sessions_size() == 0);
}

TEST_CASE("A session's behaviours are the table's with the changes of the configuration and then of the client") {
  TestServer server;
  v1::Configuration configuration;
  configuration.add_calls("family:stat=off");
  server.service().SetConfiguration(configuration);
  TestRun run(&server);
  auto start = TestRun::Command({"true"});
  start.add_calls("stat=synchronous");
  run.Start(start);
  auto session = server.registry().LookupRunning("");
  REQUIRE(session.ok());
  const RingHeader& ring = (*session)->ring().header();
  CHECK(ring.behaviours[FindFunction("stat")] == v1::BEHAVIOUR_SYNCHRONOUS);
  CHECK(ring.behaviours[FindFunction("lstat")] == v1::BEHAVIOUR_OFF);
  CHECK(ring.behaviours[FindFunction("open")] != v1::BEHAVIOUR_OFF);
}

TEST_CASE(
    "A session is found by id, by its last bearer of a name, or as the last one; else the error says what helps") {
  TestServer server;
  for (const char* name : {"a", "b", "a", ""}) {
    TestRun run(&server);
    auto start = TestRun::Command({"true"});
    start.set_name(name);
    run.Start(start);
    run.Finish(0);
  }
  CHECK(server.registry().Lookup("a")->record.id() == "3");
  CHECK(server.registry().Lookup("2")->record.name() == "b");
  CHECK(server.registry().Lookup("")->record.id() == "4");
  const absl::Status missing = server.registry().Lookup("zzz").status();
  CHECK(absl::IsNotFound(missing));
  CHECK_THAT(std::string(missing.message()), Catch::Contains("zzz") && Catch::Contains("ocp-watch sessions"));
}

TEST_CASE("Ended sessions are removed with their logs; a running one is not, and a wrong name removes nothing") {
  TestServer server;
  std::string log;
  for (int i = 0; i < 2; i++) {
    TestRun run(&server);
    run.Start(TestRun::Command({"true"}));
    log = run.Finish(0).log();
  }
  REQUIRE(access(log.c_str(), F_OK) == 0);
  TestRun running(&server);
  const std::string id = running.Start(TestRun::Command({"sleep"}));

  v1::RemoveSessionsRequest request;
  v1::RemoveSessionsReply reply;
  request.add_sessions("1");
  request.add_sessions("nosuch");
  CHECK(Remove(&server, request, &reply).error_code() == StatusCode::NOT_FOUND);
  request.set_sessions(1, id);
  CHECK(Remove(&server, request, &reply).error_code() == StatusCode::FAILED_PRECONDITION);
  CHECK(server.List().sessions_size() == 3);

  request.Clear();
  request.set_all_finished(true);
  request.set_older_than_seconds(3600);
  REQUIRE(Remove(&server, request, &reply).ok());
  CHECK(reply.removed_size() == 0);
  request.set_older_than_seconds(0);
  REQUIRE(Remove(&server, request, &reply).ok());
  CHECK(reply.removed_size() == 2);
  CHECK(reply.freed_bytes() > 0);
  CHECK(access(log.c_str(), F_OK) != 0);
  CHECK(server.List().sessions_size() == 1);
  running.Finish(0);
}

TEST_CASE("A daemon that is stopped closes running sessions in good order and calls them interrupted") {
  TestServer server;
  TestRun run(&server);
  const std::string id = run.Start(TestRun::Command({"make"}));
  run.WriteImage({"make"});
  run.WriteOpen("Makefile");
  server.registry().InterruptAll("watchd was stopped");
  auto found = server.registry().Lookup(id);
  REQUIRE(found.ok());
  server.registry().Reap(RetentionBounds{});
  found = server.registry().Lookup(id);
  CHECK(found->live == nullptr);
  CHECK(found->record.state() == v1::SESSION_INTERRUPTED);
  CHECK(found->record.end().unknown() == "watchd was stopped");
  CHECK(found->record.events() >= 2);
  CHECK(TestRun(&server).Refused(TestRun::Command({"true"})).error_code() == StatusCode::UNAVAILABLE);
}

TEST_CASE(
    "A successor leaves the sessions of a daemon that still ends them alone, and calls them interrupted when it has "
    "died") {
  TestServer old;
  TestRun run(&old);
  const std::string id = run.Start(TestRun::Command({"make"}));
  run.WriteImage({"make"});
  const std::string state = old.scratch().path() + "/state";
  auto successor = SessionRegistry::Open(state, [] {});
  REQUIRE(successor.ok());
  CHECK((*successor)->Lookup(id)->record.state() == v1::SESSION_RUNNING);
  CHECK((*successor)->Lookup(id)->live == nullptr);
  CHECK((*successor)->running() == 0);

  SECTION("It ends") {
    run.Finish(0);
    CHECK((*successor)->Lookup(id)->record.state() == v1::SESSION_FINISHED);
    CHECK((*successor)->Lookup(id)->record.end().exit_status() == 0);
  }
  SECTION("It is killed") {
    // What a kill leaves: the log as far as it was written, and nobody who holds it.
    auto found = (*successor)->Lookup(id);
    const std::string log = found->record.log();
    REQUIRE(rename(log.c_str(), (log + ".old").c_str()) == 0);
    std::ofstream(log) << std::ifstream(log + ".old").rdbuf();
    CHECK((*successor)->Lookup(id)->record.state() == v1::SESSION_INTERRUPTED);
    run.Finish(0);
  }
}

TEST_CASE("Status tells what runs, what is stored and who the daemon is") {
  TestServer server;
  TestRun(&server).Start(TestRun::Command({"true"}));
  TestRun run(&server);
  run.Start(TestRun::Command({"true"}));
  run.WriteImage({"true"});
  run.Finish(0);
  server.registry().Reap(RetentionBounds{});
  grpc::ClientContext context;
  v1::StatusReply reply;
  REQUIRE(server.stub().Status(&context, {}, &reply).ok());
  CHECK(reply.version() == kVersion);
  CHECK(reply.build_id() == kBuildId);
  CHECK(reply.pid() == getpid());
  CHECK(reply.stored_sessions() == 2);
  CHECK(reply.events() >= 1);
  CHECK(reply.log_bytes() > 0);
  CHECK(reply.resident_bytes() > 1'000'000);
  CHECK_FALSE(reply.draining());
}

TEST_CASE("A brief status counts no stored sessions") {
  TestServer server;
  TestRun run(&server);
  run.Start(TestRun::Command({"true"}));
  grpc::ClientContext context;
  v1::StatusRequest request;
  request.set_brief(true);
  v1::StatusReply reply;
  REQUIRE(server.stub().Status(&context, request, &reply).ok());
  CHECK(reply.build_id() == kBuildId);
  CHECK(reply.running_sessions() == 1);
  CHECK(reply.stored_sessions() == 0);
  run.Finish(0);
}

TEST_CASE("An idle daemon begins nothing for the client of another build; a busy one does") {
  TestServer server;
  auto start = TestRun::Command({"true"});
  start.set_client_version(kVersion);
  start.set_client_build_id("another");
  {
    grpc::ClientContext context;
    const auto stream = server.stub().RunSession(&context);
    v1::RunRequest request;
    *request.mutable_start() = start;
    REQUIRE(stream->Write(request));
    v1::RunReply reply;
    REQUIRE(stream->Read(&reply));
    CHECK(reply.has_outdated());
    CHECK_FALSE(stream->Read(&reply));
    CHECK(stream->Finish().ok());
  }
  CHECK(server.List().sessions_size() == 0);
  TestRun first(&server);
  first.Start(TestRun::Command({"true"}));
  TestRun second(&server);
  second.Start(start);
  second.Finish(0);
  first.Finish(0);
}

TEST_CASE("Shutdown is refused while sessions run unless they are to be waited for") {
  TestServer server;
  TestRun run(&server);
  run.Start(TestRun::Command({"true"}));
  const auto shutdown = [&](bool drain) {
    grpc::ClientContext context;
    v1::ShutdownRequest request;
    request.set_drain(drain);
    v1::ShutdownReply reply;
    REQUIRE(server.stub().Shutdown(&context, request, &reply).ok());
    return reply;
  };
  CHECK_FALSE(shutdown(false).stopping());
  CHECK(shutdown(false).running_sessions() == 1);
  CHECK_FALSE(server.shutdown_requested());
  CHECK(shutdown(true).stopping());
  CHECK(server.shutdown_requested());
  run.Finish(0);
}

}  // namespace
}  // namespace ocpwatch
