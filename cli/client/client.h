// The connection to the daemon, one for each run of ocp-watch.
//
// The socket is connected by hand and given to gRPC: no resolver, no proxy, no second attempt in the background, and
// "nobody listens" is known after 20 microseconds. Each call has a deadline.
#ifndef OCPWATCH_CLI_CLIENT_CLIENT_H_
#define OCPWATCH_CLI_CLIENT_CLIENT_H_

#include <grpcpp/client_context.h>
#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ocpwatch/v1/monitor.grpc.pb.h"

namespace ocpwatch {

// A question that is answered from memory.
inline constexpr std::chrono::seconds kQuickCall{10};
// A report: made of a log of any length, and read by a person who may sit in the pager for long.
inline constexpr std::chrono::hours kReportCall{24};

class Client {
 public:
  enum class Start {
    kNever,       // UNAVAILABLE where no daemon runs.
    kIfNeeded,    // Starts one. One that is older than this client is replaced if it has no session.
    kForSession,  // Starts one. Which one it is, the session's start is to ask.
  };
  static absl::StatusOr<Client> Connect(Start start);

  v1::Monitor::Stub& stub() { return *stub_; }

 private:
  // Starts a daemon if none answers, and a newer one in the place of an idle older one.
  static absl::StatusOr<Client> ConnectOnce(Start start);
  explicit Client(int fd);

  // Never destroyed: main ends with _exit, and to take a channel and gRPC's threads apart costs 3 to 5 ms of a call
  // that costs 4 in all.
  v1::Monitor::Stub* stub_;
};

// A context whose call ends after `bound`.
std::unique_ptr<grpc::ClientContext> NewContext(std::chrono::seconds bound);

// OK, or what went wrong in words for people: a daemon that went away or does not answer is said as such.
absl::Status FromRpc(const grpc::Status& status);

// Waits until process `pid` has ended. False if it has not within `bound`.
bool WaitForEnd(pid_t pid, std::chrono::milliseconds bound);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_CLIENT_CLIENT_H_
