// One session as the client sees it: say Start, hear how to start the command, say Finish, hear what was recorded.
//
// Between the two the command runs, for as long as it likes, and nothing is expected of the daemon; what was said of
// deadlines holds for each of the two exchanges. A daemon that dies in between is noticed at Finish.
#ifndef OCPWATCH_CLI_CLIENT_SESSION_CALL_H_
#define OCPWATCH_CLI_CLIENT_SESSION_CALL_H_

#include <grpcpp/completion_queue.h>

#include <chrono>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/client/client.h"

namespace ocpwatch {

class SessionCall {
 public:
  // `client` must outlive the call.
  explicit SessionCall(Client* client);
  // Without Finish the daemon ends the session with "the client went away".
  ~SessionCall();
  SessionCall(const SessionCall&) = delete;
  SessionCall& operator=(const SessionCall&) = delete;

  absl::StatusOr<v1::RunReply::Started> Start(const v1::RunRequest::Start& start);
  absl::StatusOr<v1::Session> Finish(const v1::RunRequest::Finish& finish);

 private:
  // Waits for the one operation that is under way. False if it failed: the stream has broken.
  absl::StatusOr<bool> Await(std::chrono::seconds bound);
  absl::Status Exchange(const v1::RunRequest& request, bool last, std::chrono::seconds bound, v1::RunReply* reply);

  Client* const client_;
  std::unique_ptr<grpc::ClientContext> context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::RunRequest, v1::RunReply>> stream_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_CLIENT_SESSION_CALL_H_
