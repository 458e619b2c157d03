#include "cli/client/client.h"

#include <errno.h>
#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/client/start_daemon.h"
#include "ocpwatch/v1/succession.h"
#include "ocpwatch/v1/version.h"

namespace ocpwatch {
namespace {

// An idle daemon closes its files and goes; this is a hundred times what that takes.
constexpr std::chrono::milliseconds kShutdownBound{5000};

absl::Status AskWhich(v1::Monitor::Stub* stub, v1::StatusReply* daemon) {
  v1::StatusRequest request;
  request.set_brief(true);
  const auto context = NewContext(kQuickCall);
  return FromRpc(stub->Status(context.get(), request, daemon));
}

}  // namespace

Client::Client(int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // One command's row holds its argv, which may be 2 MiB before it is escaped, and all its files. The daemon is ours.
  arguments.SetMaxReceiveMessageSize(-1);
  // Measures a network's delay with pings, each of which wakes the other side.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  stub_ = v1::Monitor::NewStub(grpc::CreateCustomInsecureChannelFromFd("watchd", fd, arguments)).release();
}

absl::StatusOr<Client> Client::Connect(Start start) {
  if (start == Start::kNever) {
    const absl::StatusOr<int> fd = ConnectSocket();
    if (!fd.ok()) return fd.status();
    return Client(*fd);
  }
  // A daemon that ends takes connections until its last moment: then the next one is asked.
  absl::StatusOr<Client> client = ConnectOnce(start);
  if (absl::IsUnavailable(client.status())) client = ConnectOnce(start);
  return client;
}

absl::StatusOr<Client> Client::ConnectOnce(Start start) {
  const absl::StatusOr<int> fd = StartAndConnect();
  if (!fd.ok()) return fd.status();
  Client client(*fd);
  if (start == Start::kForSession) return client;
  v1::StatusReply daemon;
  if (absl::Status asked = AskWhich(&client.stub(), &daemon); !asked.ok()) return asked;
  // A daemon with sessions is left to end them and is used as it is: no build waits for another one's end.
  if (!MakesWay({daemon.version(), daemon.build_id()}, {kVersion, kBuildId}) || daemon.running_sessions() > 0) {
    return client;
  }
  v1::ShutdownReply reply;
  const auto shutdown = NewContext(kQuickCall);
  const absl::Status stopped = FromRpc(client.stub().Shutdown(shutdown.get(), v1::ShutdownRequest(), &reply));
  if (!stopped.ok() || !reply.stopping()) return client;
  if (!WaitForEnd(daemon.pid(), kShutdownBound)) {
    return absl::DeadlineExceededError(absl::StrCat("the daemon of version ", daemon.version(), " (pid ", daemon.pid(),
                                                    ") was asked to make way for version ", kVersion,
                                                    " and does not end"));
  }
  const absl::StatusOr<int> fresh = StartAndConnect();
  if (!fresh.ok()) return fresh.status();
  Client next(*fresh);
  if (absl::Status answered = AskWhich(&next.stub(), &daemon); !answered.ok()) return answered;
  return next;
}

std::unique_ptr<grpc::ClientContext> NewContext(std::chrono::seconds bound) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + bound);
  return context;
}

absl::Status FromRpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      return absl::UnavailableError("the daemon went away (" + status.error_message() + ")");
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return absl::DeadlineExceededError("the daemon does not answer");
    case grpc::StatusCode::UNIMPLEMENTED:
      return absl::UnimplementedError("the running daemon is of another version and does not know this");
    default:
      return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  }
}

bool WaitForEnd(pid_t pid, std::chrono::milliseconds bound) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd == -1) return errno == ESRCH;
  pollfd entry = {fd, POLLIN, 0};
  const bool ended = poll(&entry, 1, static_cast<int>(bound.count())) == 1;
  close(fd);
  return ended;
}

}  // namespace ocpwatch
