#include "cli/client/session_call.h"

#include <utility>

namespace ocpwatch {
namespace {

// The call itself lives as long as the command. No build takes a month.
constexpr std::chrono::hours kLongestSession{24 * 30};
// A session is begun in a millisecond; a daemon that needs longer than this is in no state to record anything.
constexpr std::chrono::seconds kStartBound{10};
// The daemon reads what is left of the ring, closes the log and writes its summary; of ten million events that is a
// few seconds on a busy machine.
constexpr std::chrono::seconds kFinishBound{60};

}  // namespace

SessionCall::SessionCall(Client* client) : client_(client), context_(NewContext(kLongestSession)) {}

SessionCall::~SessionCall() {
  context_->TryCancel();
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
}

absl::StatusOr<v1::RunReply::Started> SessionCall::Start(const v1::RunRequest::Start& start) {
  stream_ = client_->stub().AsyncRunSession(context_.get(), &queue_, nullptr);
  const absl::StatusOr<bool> begun = Await(kStartBound);
  if (!begun.ok()) return begun.status();
  v1::RunRequest request;
  *request.mutable_start() = start;
  v1::RunReply reply;
  if (absl::Status status = Exchange(request, false, kStartBound, &reply); !status.ok()) return status;
  if (!reply.has_started()) return absl::InternalError("the daemon answered something else than how to start");
  return std::move(*reply.mutable_started());
}

absl::StatusOr<v1::Session> SessionCall::Finish(const v1::RunRequest::Finish& finish) {
  v1::RunRequest request;
  *request.mutable_finish() = finish;
  v1::RunReply reply;
  if (absl::Status status = Exchange(request, true, kFinishBound, &reply); !status.ok()) return status;
  if (!reply.has_finished()) return absl::InternalError("the daemon answered something else than the session");
  return std::move(*reply.mutable_finished());
}

absl::StatusOr<bool> SessionCall::Await(std::chrono::seconds bound) {
  void* tag = nullptr;
  bool ok = false;
  const auto next = queue_.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + bound);
  if (next == grpc::CompletionQueue::GOT_EVENT) return ok;
  return absl::DeadlineExceededError("the daemon does not answer");
}

absl::Status SessionCall::Exchange(const v1::RunRequest& request, bool last, std::chrono::seconds bound,
                                   v1::RunReply* reply) {
  if (last) {
    stream_->WriteLast(request, grpc::WriteOptions(), nullptr);
  } else {
    stream_->Write(request, nullptr);
  }
  absl::StatusOr<bool> ok = Await(bound);
  if (!ok.ok()) return ok.status();
  if (*ok) {
    stream_->Read(reply, nullptr);
    ok = Await(bound);
    if (!ok.ok()) return ok.status();
    if (*ok) return absl::OkStatus();
  }
  grpc::Status status;
  stream_->Finish(&status, nullptr);
  ok = Await(bound);
  if (!ok.ok()) return ok.status();
  if (status.ok()) return absl::InternalError("the daemon ended the session without an answer");
  return FromRpc(status);
}

}  // namespace ocpwatch
