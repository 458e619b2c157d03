#include "daemon/service/control_server.h"

#include <grpcpp/generic/generic_stub.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "daemon/ingest/runtime_directory.h"
#include "daemon/service/probe.h"
#include "tests/unit/service/scratch.h"

namespace ocpwatch {
namespace {

std::unique_ptr<ControlServer> StartIn(const Scratch& scratch) {
  auto listener = ListenUnix(scratch.path() + "/control.sock");
  REQUIRE(listener.ok());
  auto server = ControlServer::Start(*std::move(listener), {}, 8);
  REQUIRE(server.ok());
  return *std::move(server);
}

UniqueFd Connect(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), path.size());
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

// Over the socket, as a client does.
grpc::StatusCode AskHealth(const std::string& path) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  auto channel = grpc::CreateCustomChannel("unix:" + path, grpc::InsecureChannelCredentials(), arguments);
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::CompletionQueue queue;
  grpc::Slice empty;
  auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::ByteBuffer(&empty, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag;
  bool ok;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  return status.error_code();
}

TEST_CASE("gRPC answers on a socket that we accept from") {
  Scratch scratch;
  auto server = StartIn(scratch);
  CHECK(AskHealth(scratch.path() + "/control.sock") == grpc::StatusCode::OK);
  CHECK(server->Healthy(std::chrono::seconds(5)));
}

TEST_CASE("A connection that says nothing is closed when it ends its side, and harms nobody") {
  Scratch scratch;
  auto server = StartIn(scratch);
  std::vector<UniqueFd> silent(100);
  for (UniqueFd& fd : silent) fd = (Connect(scratch.path() + "/control.sock"));
  CHECK(AnswersOnSocket(scratch.path() + "/control.sock", std::chrono::seconds(5)));
  CHECK(AskHealth(scratch.path() + "/control.sock") == grpc::StatusCode::OK);
}

TEST_CASE("A server that no longer listens takes no connection and still answers those that it has") {
  Scratch scratch;
  auto server = StartIn(scratch);
  server->StopListening();
  CHECK_FALSE(Connect(scratch.path() + "/control.sock").valid());
  CHECK(server->Healthy(std::chrono::seconds(5)));
}

TEST_CASE("Another user is refused before gRPC reads a byte") {
  if (geteuid() != 0) return;  // Only root can be another user.
  Scratch scratch;
  auto server = StartIn(scratch);
  const std::string path = scratch.path() + "/control.sock";
  chmod(scratch.path().c_str(), 0755);
  chmod(path.c_str(), 0666);
  const pid_t child = fork();
  if (child == 0) {
    if (setuid(65534) != 0) _exit(2);
    UniqueFd fd = Connect(path);
    char byte;
    // gRPC would send its settings first.
    _exit(fd.valid() && read(fd.get(), &byte, 1) == 0 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(AskHealth(path) == grpc::StatusCode::OK);
}

}  // namespace
}  // namespace ocpwatch
