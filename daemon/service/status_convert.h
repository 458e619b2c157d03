// absl::Status to grpc::Status: the same codes, the same words.
#ifndef OCPWATCH_DAEMON_SERVICE_STATUS_CONVERT_H_
#define OCPWATCH_DAEMON_SERVICE_STATUS_CONVERT_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"

namespace ocpwatch {

inline grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_STATUS_CONVERT_H_
