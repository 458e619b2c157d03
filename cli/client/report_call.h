// The rows of a report as they come, each within a bound: a daemon that stands still is told from one that works.
#ifndef OCPWATCH_CLI_CLIENT_REPORT_CALL_H_
#define OCPWATCH_CLI_CLIENT_REPORT_CALL_H_

#include <grpcpp/completion_queue.h>

#include <memory>

#include "absl/status/status.h"
#include "cli/client/client.h"

namespace ocpwatch {

class ReportCall {
 public:
  // `client` must outlive the call.
  ReportCall(Client* client, const v1::ReportRequest& request);
  // Cancels what has not come yet.
  ~ReportCall();
  ReportCall(const ReportCall&) = delete;
  ReportCall& operator=(const ReportCall&) = delete;

  // The next row; false at the end, whatever its reason.
  bool Read(v1::ReportRow* row);
  // Why the rows ended. Once, after Read has returned false.
  absl::Status Finish();

 private:
  // Waits for the one operation that is under way. False if it failed, or did not end within the bound (then stalled_).
  bool Await();

  const std::unique_ptr<grpc::ClientContext> context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::ClientAsyncReader<v1::ReportRow>> reader_;
  bool begun_ = false;
  bool stalled_ = false;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_CLIENT_REPORT_CALL_H_
