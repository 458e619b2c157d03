// Report and Follow through the socket.
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>
#include <thread>
#include <vector>

#include "tests/unit/service/test_server.h"

namespace ocpwatch {
namespace {

using grpc::StatusCode;

std::vector<v1::ReportRow> Report(TestServer* server, const v1::ReportRequest& request, grpc::Status* status) {
  grpc::ClientContext context;
  auto reader = server->stub().Report(&context, request);
  std::vector<v1::ReportRow> rows;
  for (v1::ReportRow row; reader->Read(&row);) rows.push_back(row);
  *status = reader->Finish();
  return rows;
}

std::vector<v1::ReportRow> Report(TestServer* server, const std::string& session, v1::View view) {
  v1::ReportRequest request;
  request.set_session(session);
  request.set_view(view);
  grpc::Status status;
  auto rows = Report(server, request, &status);
  INFO(status.error_message());
  REQUIRE(status.ok());
  return rows;
}

// A compiler that reads a.c and does not find a.h; not finished yet.
std::unique_ptr<TestRun> StartCompiler(TestServer* server) {
  auto run = std::make_unique<TestRun>(server);
  run->Start(TestRun::Command({"cc", "-c", "a.c"}));
  run->WriteImage({"cc", "-c", "a.c"});
  run->WriteOpen("a.c");
  run->WriteOpen("a.h", ENOENT);
  return run;
}

void CheckCompilerTree(const std::vector<v1::ReportRow>& rows) {
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].has_session());
  const v1::Command& command = rows[1].command();
  CHECK(command.argv(0) == "cc");
  CHECK(std::vector<std::string>(command.reads().begin(), command.reads().end()) ==
        std::vector<std::string>{"/usr/bin/cc", "/work/a.c"});
  REQUIRE(command.missing_size() == 1);
  CHECK(command.missing(0) == "/work/a.h");
}

// What is in the ring is in the model a moment later.
void WaitForEvents(TestServer* server, uint64_t events) {
  auto session = server->registry().LookupRunning("");
  REQUIRE(session.ok());
  for (int i = 0; i < 500 && (*session)->Record().events() < events; i++) usleep(10'000);
  REQUIRE((*session)->Record().events() >= events);
}

TEST_CASE("A report of a finished session, of its log under any name and of the last session is the same") {
  TestServer server;
  auto run = StartCompiler(&server);
  const v1::Session session = run->Finish(0);
  CheckCompilerTree(Report(&server, session.id(), v1::VIEW_TREE));
  CheckCompilerTree(Report(&server, "", v1::VIEW_TREE));
  server.registry().Reap(RetentionBounds{});
  CheckCompilerTree(Report(&server, session.id(), v1::VIEW_TREE));

  const std::string elsewhere = server.scratch().path() + "/copy.ocplog";
  REQUIRE(rename(session.log().c_str(), elsewhere.c_str()) == 0);
  v1::ReportRequest request;
  request.set_log(elsewhere);
  request.set_view(v1::VIEW_TREE);
  grpc::Status status;
  CheckCompilerTree(Report(&server, request, &status));
}

TEST_CASE("A running session is reported as far as it has come, its events too") {
  TestServer server;
  auto run = StartCompiler(&server);
  WaitForEvents(&server, 3);
  auto rows = Report(&server, "", v1::VIEW_TREE);
  CheckCompilerTree(rows);
  CHECK(rows[0].session().state() == v1::SESSION_RUNNING);
  CHECK(rows[1].command().running());
  CHECK(Report(&server, "", v1::VIEW_EVENTS).size() >= 4);
  CHECK(Report(&server, "", v1::VIEW_SUMMARY).size() == 2);
  run->WriteOpen("b.h", ENOENT);
  WaitForEvents(&server, 4);
  CHECK(Report(&server, "", v1::VIEW_TREE)[1].command().missing_size() == 2);
  run->Finish(0);
}

TEST_CASE("An interrupted session is reported from its log and says what it is") {
  TestServer server;
  auto run = StartCompiler(&server);
  WaitForEvents(&server, 3);
  server.registry().InterruptAll("watchd was stopped");
  server.registry().Reap(RetentionBounds{});
  auto rows = Report(&server, "", v1::VIEW_TREE);
  CheckCompilerTree(rows);
  CHECK(rows[0].session().state() == v1::SESSION_INTERRUPTED);
}

TEST_CASE("A report of what is not there is an error that says so") {
  TestServer server;
  const auto ask = [&](const std::function<void(v1::ReportRequest*)>& fill) {
    v1::ReportRequest request;
    fill(&request);
    grpc::Status status;
    CHECK(Report(&server, request, &status).empty());
    return status;
  };
  CHECK(ask([](auto* request) { request->set_session("nosuch"); }).error_code() == StatusCode::NOT_FOUND);
  CHECK(ask([](auto* request) { request->set_log("/nowhere/x.ocplog"); }).error_code() == StatusCode::NOT_FOUND);
  CHECK(ask([](auto* request) { request->set_log("x.ocplog"); }).error_code() == StatusCode::INVALID_ARGUMENT);
  CHECK(ask([](auto* request) { request->set_log("/etc/passwd"); }).error_code() == StatusCode::INVALID_ARGUMENT);
  CHECK_FALSE(ask([](auto* request) { request->set_log("/dev/zero"); }).ok());
  CHECK_FALSE(ask([](auto* request) { request->set_log("/"); }).ok());
}

TEST_CASE("A client that goes away in the middle of a report ends it") {
  TestServer server;
  auto run = StartCompiler(&server);
  for (int i = 0; i < 30'000; i++) run->WriteOpen("some/file/of/a/long/name/that/fills/the/window");
  run->Finish(0);
  {
    grpc::ClientContext context;
    v1::ReportRequest request;
    request.set_view(v1::VIEW_EVENTS);
    auto reader = server.stub().Report(&context, request);
    v1::ReportRow row;
    REQUIRE(reader->Read(&row));
    context.TryCancel();
    CHECK(reader->Finish().error_code() == StatusCode::CANCELLED);
  }
  // Waits for calls under way: it would not return if the report waited for its reader.
  server.control().Shutdown(std::chrono::seconds(5));
}

// Reads replies until the call ends.
class TestFollower {
 public:
  TestFollower(TestServer* server, bool events, bool from_start) {
    v1::FollowRequest request;
    request.set_events(events);
    request.set_from_start(from_start);
    reader_ = server->stub().Follow(&context_, request);
    v1::FollowReply first;
    REQUIRE(reader_->Read(&first));
    CHECK(first.has_session());
  }
  std::vector<v1::FollowReply> Rest() {
    std::vector<v1::FollowReply> replies;
    for (v1::FollowReply reply; reader_->Read(&reply);) replies.push_back(reply);
    CHECK(reader_->Finish().ok());
    return replies;
  }
  void GoAway() {
    context_.TryCancel();
    CHECK(reader_->Finish().error_code() == StatusCode::CANCELLED);
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::FollowReply>> reader_;
};

TEST_CASE("A follower hears of commands, those before it on request, and of the session's end") {
  TestServer server;
  auto run = StartCompiler(&server);
  WaitForEvents(&server, 3);
  TestFollower follower(&server, false, true);
  run->Finish(2);
  const auto replies = follower.Rest();
  REQUIRE(replies.size() == 3);
  CHECK(replies[0].command_started().argv(0) == "cc");
  CHECK(replies[1].command_ended().exit_status() == 2);
  CHECK(replies[1].command_ended().reads_size() == 2);
  CHECK(replies[2].session().state() == v1::SESSION_FINISHED);
}

TEST_CASE("A follower of events hears of each one that comes") {
  TestServer server;
  auto run = StartCompiler(&server);
  WaitForEvents(&server, 3);
  TestFollower follower(&server, true, false);
  run->WriteOpen("late.h", ENOENT);
  run->Finish(0);
  const auto replies = follower.Rest();
  REQUIRE(replies.size() == 2);
  CHECK(replies[0].event().path() == "/work/late.h");
  CHECK(replies[0].event().error() == "ENOENT");
  CHECK(replies[1].has_session());
}

TEST_CASE("A follower that goes away is let go of, and nothing to follow is an error") {
  TestServer server;
  {
    grpc::ClientContext context;
    auto reader = server.stub().Follow(&context, {});
    v1::FollowReply reply;
    CHECK_FALSE(reader->Read(&reply));
    CHECK(reader->Finish().error_code() == StatusCode::NOT_FOUND);
  }
  auto run = StartCompiler(&server);
  TestFollower(&server, false, false).GoAway();
  run->Finish(0);
  server.control().Shutdown(std::chrono::seconds(5));
}

TEST_CASE("Queries and followers beside a writer at full speed lose nothing") {
  TestServer server;
  auto run = StartCompiler(&server);
  std::atomic<bool> stop{false};
  std::vector<std::thread> askers;
  askers.reserve(3);
  for (int i = 0; i < 3; i++) {
    askers.emplace_back([&] {
      while (!stop) {
        grpc::ClientContext context;
        v1::ReportRequest request;
        request.set_session("1");
        request.set_view(v1::VIEW_DOCUMENT);
        auto reader = server.stub().Report(&context, request);
        for (v1::ReportRow row; reader->Read(&row);) {
        }
        reader->Finish();
        grpc::ClientContext list;
        v1::ListSessionsReply sessions;
        server.stub().ListSessions(&list, {}, &sessions);
      }
    });
  }
  constexpr int kOpens = 20'000;
  for (int i = 0; i < kOpens; i++) run->WriteOpen("file" + std::to_string(i % 500));
  stop = true;
  for (std::thread& asker : askers) asker.join();
  const v1::Session session = run->Finish(0);
  CHECK(session.complete());
  CHECK(session.events() >= kOpens + 3);
}

}  // namespace
}  // namespace ocpwatch
