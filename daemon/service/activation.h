// The sockets that systemd hands over (socket activation, also by systemd-socket-activate), told apart.
//
// By name, where they have one (FileDescriptorName= or --fdname: "control", "intercept"), else by the last part of
// their path (control.sock, intercept.sock). A unit with two ListenStream= lines gives both the same name, so its
// sockets are told by their paths.
#ifndef OCPWATCH_DAEMON_SERVICE_ACTIVATION_H_
#define OCPWATCH_DAEMON_SERVICE_ACTIVATION_H_

#include <string>

#include "absl/status/statusor.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

struct ActivatedSockets {
  bool activated = false;  // False: systemd has not handed over anything; the rest is not set.
  // Listening, non-blocking, close-on-exec.
  UniqueFd control;
  UniqueFd intercept;
  std::string intercept_path;
};

// Takes what systemd has handed over, and its variables out of the environment. INVALID_ARGUMENT where that is anything
// but the two listening Unix stream sockets.
absl::StatusOr<ActivatedSockets> TakeActivatedSockets();

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_ACTIVATION_H_
