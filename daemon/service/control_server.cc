#include "daemon/service/control_server.h"

#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/ingest/peer.h"

namespace ocpwatch {
namespace {

// A client that connects and then says nothing gives its descriptor back after this; gRPC's own bound is two minutes.
constexpr int kHandshakeTimeoutMs = 10'000;
// argv of 2 MiB, the kernel's bound, fits twice.
constexpr int kMaxRequestBytes = 8 << 20;
// Without free descriptors accept fails at once, again and again: wait for some to be closed.
constexpr int kNoDescriptorsPauseMs = 100;

// Once for the process. The reference that is never given back keeps the end of the last server from being the end of
// gRPC: that joins gRPC's threads, and where one of them waits in epoll_wait for a poller's deadline, `ocp-watch stop`
// gave up after 5 s: 1 of 6 times after a large `report files`; with the reference 0 of 10 (0.51 s each). What gRPC
// holds, the end of the process gives back.
void InitializeGrpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc_init();
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Start(UniqueFd listener,
                                                                    const std::vector<grpc::Service*>& services,
                                                                    int max_threads) {
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return absl::ResourceExhaustedError(absl::StrCat("eventfd: ", strerror(errno)));
  std::unique_ptr<ControlServer> control(new ControlServer(std::move(listener), std::move(wake)));
  InitializeGrpc();
  grpc::ServerBuilder builder;
  builder.SetResourceQuota(grpc::ResourceQuota("ocp-watch").SetMaxThreads(max_threads));
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeTimeoutMs);
  // Measures a network's delay with pings, each of which wakes the other side.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  // One queue: two cores' worth of pollers are more than a few requests a second need.
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
  control->acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, grpc::InsecureServerCredentials());
  for (grpc::Service* service : services) builder.RegisterService(service);
  control->server_ = builder.BuildAndStart();
  if (control->server_ == nullptr) return absl::InternalError("gRPC could not start its server");
  control->thread_ = std::thread(&ControlServer::AcceptLoop, control.get());
  return control;
}

ControlServer::~ControlServer() { Shutdown(std::chrono::milliseconds(0)); }

void ControlServer::StopListening() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  eventfd_write(wake_.get(), 1);
  thread_.join();
  listener_.reset();
}

void ControlServer::Shutdown(std::chrono::milliseconds grace) {
  StopListening();
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now() + grace);
  server_->Wait();
}

bool ControlServer::Healthy(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::system_clock::now() + timeout;
  const uint64_t turn = turns_;
  eventfd_write(wake_.get(), 1);
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(server_->InProcessChannel(grpc::ChannelArguments()));
  grpc::ClientContext context;
  context.set_deadline(deadline);
  grpc::ByteBuffer request;  // HealthCheckRequest{}: no bytes; an empty name is the server as a whole.
  grpc::Slice empty;
  request = grpc::ByteBuffer(&empty, 1);
  auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, this);
  void* tag = nullptr;
  bool ok = false;
  const bool answered = queue.Next(&tag, &ok) && ok && status.ok();
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  while (turns_ == turn && !stopping_ && std::chrono::system_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return answered && (turns_ != turn || stopping_);
}

void ControlServer::AcceptLoop() {
  while (!stopping_) {
    pollfd fds[2] = {{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    const int ready = poll(fds, 2, -1);
    turns_.fetch_add(1);
    if (ready < 0) continue;  // EINTR
    uint64_t count;
    if (fds[0].revents != 0 && read(wake_.get(), &count, sizeof count) < 0) errno = 0;
    if (fds[1].revents != 0 && !stopping_) AcceptOne();
  }
}

void ControlServer::AcceptOne() {
  UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      spdlog::warn("control.sock: no connection can be accepted: {}", strerror(errno));
      pollfd wake = {wake_.get(), POLLIN, 0};
      poll(&wake, 1, kNoDescriptorsPauseMs);
    }
    return;
  }
  if (absl::Status status = CheckPeer(fd.get()); !status.ok()) {
    spdlog::warn("control.sock: {}", std::string(status.message()));
    return;
  }
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
  connection.listener_fd = listener_.get();
  connection.fd = fd.release();
  acceptor_->HandleNewConnection(&connection);
}

}  // namespace ocpwatch
