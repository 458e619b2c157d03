#include "cli/client/report_call.h"

namespace ocpwatch {
namespace {

// Before the first row a log without its summary is replayed: ten million events take some 10 s on a busy machine.
constexpr std::chrono::seconds kRowBound{120};

}  // namespace

ReportCall::ReportCall(Client* client, const v1::ReportRequest& request) : context_(NewContext(kReportCall)) {
  reader_ = client->stub().AsyncReport(context_.get(), request, &queue_, nullptr);
}

ReportCall::~ReportCall() {
  context_->TryCancel();
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
}

bool ReportCall::Read(v1::ReportRow* row) {
  if (!begun_ && !Await()) return false;
  begun_ = true;
  reader_->Read(row, nullptr);
  return Await();
}

absl::Status ReportCall::Finish() {
  grpc::Status status;
  if (!stalled_) {
    reader_->Finish(&status, nullptr);
    Await();
  }
  return stalled_ ? absl::DeadlineExceededError("the daemon does not answer") : FromRpc(status);
}

bool ReportCall::Await() {
  void* tag = nullptr;
  bool ok = false;
  const auto next = queue_.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + kRowBound);
  stalled_ = next != grpc::CompletionQueue::GOT_EVENT;
  return !stalled_ && ok;
}

}  // namespace ocpwatch
