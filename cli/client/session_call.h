// One session as the client sees it: say Start, hear how to start the command, say Finish, hear what was recorded.
//
// Between the two the command runs, for as long as it likes. Of a record nothing is expected of the daemon then, and
// one that dies is noticed at Finish. Of a build it is listened to by a thread of its own: there is something to do
// when the daemon dies, and it may ask for something. What was said of deadlines holds for each of the two exchanges.
#ifndef OCPWATCH_CLI_CLIENT_SESSION_CALL_H_
#define OCPWATCH_CLI_CLIENT_SESSION_CALL_H_

#include <grpcpp/completion_queue.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

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

  // The two are only for builds: the words of what was reused go to `words` as they come; `outputs` is asked once it is
  // known that something has to run. The reply is how to start the command, or the last `reused`. UNAVAILABLE: another
  // daemon may do it.
  using WordsFn = std::function<void(int fd, const std::string& words)>;
  using OutputsFn = std::function<v1::RunRequest::Outputs(pid_t daemon)>;
  absl::StatusOr<v1::RunReply> Start(const v1::RunRequest::Start& start, const WordsFn& words = nullptr,
                                     const OutputsFn& outputs = nullptr);

  absl::StatusOr<v1::Session> Finish(const v1::RunRequest::Finish& finish);
  // From here on the daemon is listened to. Both are called from the thread: a pipe of the pool is to be closed; the
  // daemon has died before the session was finished.
  struct Listener {
    std::function<void(int32_t)> close_pipe;
    std::function<void()> daemon_died;
  };
  void Listen(Listener listener);
  // Instead of Finish. Waits longer than its bound only while `blocked`: whoever reads the outputs takes his time.
  absl::StatusOr<v1::RunReply> FinishBuild(const v1::RunRequest::Finish& finish, const std::function<bool()>& blocked);

 private:
  // Waits for the one operation that is under way. False if it failed: the stream has broken.
  absl::StatusOr<bool> Await(std::chrono::seconds bound);
  // Await, and why it failed.
  absl::Status Done(std::chrono::seconds bound);
  absl::Status Send(const v1::RunRequest& request, bool last, std::chrono::seconds bound);
  absl::Status Receive(std::chrono::seconds bound, v1::RunReply* reply);
  // Why the stream has ended.
  absl::Status End(std::chrono::seconds bound);
  void Hear(const Listener& listener);
  // The next operation of the listening thread's that has come to its end; the one of Finish's may lie between.
  bool NextHeard();

  Client* const client_;
  std::unique_ptr<grpc::ClientContext> context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::RunRequest, v1::RunReply>> stream_;

  std::thread listening_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<absl::StatusOr<v1::RunReply>> outcome_;  // Of the listening thread.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_CLIENT_SESSION_CALL_H_
