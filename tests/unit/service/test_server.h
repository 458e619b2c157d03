// The service as a client sees it: registry, service and gRPC server in this process, a stub on the socket.
#ifndef OCPWATCH_TESTS_UNIT_SERVICE_TEST_SERVER_H_
#define OCPWATCH_TESTS_UNIT_SERVICE_TEST_SERVER_H_

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <initializer_list>
#include <memory>
#include <string>

#include "absl/synchronization/notification.h"
#include "daemon/ingest/ring.h"
#include "daemon/ingest/runtime_directory.h"
#include "daemon/service/control_server.h"
#include "daemon/service/monitor_service.h"
#include "daemon/service/session_registry.h"
#include "preload/gencalls/call_table.h"
#include "tests/unit/ingest/ring_test_writer.h"
#include "tests/unit/service/scratch.h"

namespace ocpwatch {

class TestServer {
 public:
  TestServer() {
    spdlog::set_level(spdlog::level::err);
    auto opened = SessionRegistry::Open(scratch_.path() + "/state", [] {});
    REQUIRE(opened.ok());
    registry_ = *std::move(opened);
    DaemonFacts facts;
    facts.preload = "/lib/preload.so";
    facts.intercept_socket = scratch_.path() + "/intercept.sock";
    facts.state_directory = scratch_.path() + "/state";
    facts.started_by = "client";
    service_ = std::make_unique<MonitorService>(registry_.get(), nullptr, facts, [this](bool drain) {
      shutdown_drains_ = drain;
      shutdown_.Notify();
      return absl::OkStatus();
    });
    auto listener = ListenUnix(socket_path());
    REQUIRE(listener.ok());
    auto started = ControlServer::Start(*std::move(listener), {service_.get()}, kMaxCalls);
    REQUIRE(started.ok());
    control_ = *std::move(started);
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = v1::Monitor::NewStub(
        grpc::CreateCustomChannel("unix:" + socket_path(), grpc::InsecureChannelCredentials(), arguments));
  }

  v1::Monitor::Stub& stub() { return *stub_; }
  SessionRegistry& registry() { return *registry_; }
  MonitorService& service() { return *service_; }
  ControlServer& control() { return *control_; }
  std::string socket_path() const { return scratch_.path() + "/control.sock"; }
  const Scratch& scratch() const { return scratch_; }
  bool shutdown_requested() const { return shutdown_.HasBeenNotified(); }

  v1::ListSessionsReply List() {
    grpc::ClientContext context;
    v1::ListSessionsReply reply;
    REQUIRE(stub_->ListSessions(&context, {}, &reply).ok());
    return reply;
  }

 private:
  Scratch scratch_;
  bool shutdown_drains_ = false;
  absl::Notification shutdown_;
  std::unique_ptr<SessionRegistry> registry_;
  std::unique_ptr<MonitorService> service_;
  std::unique_ptr<ControlServer> control_;
  std::unique_ptr<v1::Monitor::Stub> stub_;
};

// RunSession as the CLI calls it, with a fake process that writes into the session's ring.
class TestRun {
 public:
  explicit TestRun(TestServer* server) : server_(server), stream_(server->stub().RunSession(&context_)) {}

  static v1::RunRequest::Start Command(std::initializer_list<const char*> argv) {
    v1::RunRequest::Start start;
    start.set_mode(v1::MODE_RECORD);
    for (const char* argument : argv) start.add_argv(argument);
    start.set_cwd("/work");
    start.set_client_pid(4711);
    return start;
  }

  // The session's number; started() has the rest.
  std::string Start(const v1::RunRequest::Start& start) {
    v1::RunRequest request;
    *request.mutable_start() = start;
    REQUIRE(stream_->Write(request));
    v1::RunReply reply;
    REQUIRE(stream_->Read(&reply));
    REQUIRE(reply.has_started());
    started_ = reply.started();
    auto session = server_->registry().LookupRunning(started_.session_id());
    REQUIRE(session.ok());
    session_ = *std::move(session);
    return started_.session_id();
  }
  const v1::RunReply::Started& started() const { return started_; }

  void Write(v1::Frame frame, uint32_t process = 1) {
    frame.set_process(process);
    frame.set_time_ns(static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()));
    RingTestWriter writer(session_->ring(), process);
    REQUIRE(writer.Write(frame));
  }

  // The first frame of the command. The pid is one that no process has, so nothing lingers.
  void WriteImage(std::initializer_list<const char*> argv) {
    v1::Frame frame;
    v1::Proc& proc = *frame.mutable_proc();
    proc.set_kind(v1::Proc::KIND_IMAGE);
    proc.set_pid(0x7ffffff0);
    proc.set_parent_pid(4711);
    proc.set_executable(std::string("/usr/bin/") + *argv.begin());
    for (const char* argument : argv) proc.add_argv(argument);
    proc.set_cwd("/work");
    Write(frame);
  }
  // An open for reading, or one that failed.
  void WriteOpen(const std::string& path, int error = 0) {
    v1::Frame frame;
    v1::AfterCall& after = *frame.mutable_after();
    after.set_function(FindFunction("open"));
    after.set_path(path);
    after.set_fd(-100);
    after.set_result(error == 0 ? 5 : -1);
    after.set_error(error);
    if (error == 0) after.mutable_stat()->set_mode(0100644);
    Write(frame);
  }

  v1::Session Finish(int exit_status) {
    v1::RunRequest request;
    request.mutable_finish()->set_exit_status(exit_status);
    REQUIRE(stream_->Write(request));
    v1::RunReply reply;
    REQUIRE(stream_->Read(&reply));
    REQUIRE(reply.has_finished());
    stream_->WritesDone();
    CHECK(stream_->Finish().ok());
    return reply.finished();
  }

  grpc::Status Refused(const v1::RunRequest::Start& start) {
    v1::RunRequest request;
    *request.mutable_start() = start;
    stream_->Write(request);
    v1::RunReply reply;
    CHECK_FALSE(stream_->Read(&reply));
    return stream_->Finish();
  }

  void GoAway() {
    context_.TryCancel();
    stream_->Finish();
  }

 private:
  TestServer* const server_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::RunRequest, v1::RunReply>> stream_;
  v1::RunReply::Started started_;
  std::shared_ptr<Session> session_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_TESTS_UNIT_SERVICE_TEST_SERVER_H_
