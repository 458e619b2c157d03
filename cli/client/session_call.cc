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
// Before a build's first answer every file that it knows may have to be hashed: 100 GB a minute and core.
constexpr std::chrono::seconds kCheckBound{600};

// What an operation on the queue is. Those of one exchange need no telling apart.
void* const kWrite = reinterpret_cast<void*>(1);

}  // namespace

SessionCall::SessionCall(Client* client) : client_(client), context_(NewContext(kLongestSession)) {}

SessionCall::~SessionCall() {
  context_->TryCancel();
  if (listening_.joinable()) listening_.join();
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
}

absl::StatusOr<v1::RunReply> SessionCall::Start(const v1::RunRequest::Start& start, const WordsFn& words,
                                                const OutputsFn& outputs) {
  stream_ = client_->stub().AsyncRunSession(context_.get(), &queue_, nullptr);
  const absl::StatusOr<bool> begun = Await(kStartBound);
  if (!begun.ok()) return begun.status();
  const std::chrono::seconds bound = start.mode() == v1::MODE_BUILD ? kCheckBound : kStartBound;
  v1::RunRequest request;
  *request.mutable_start() = start;
  v1::RunReply reply;
  absl::Status status = Send(request, false, kStartBound);
  if (status.ok()) {
    stream_->ReadInitialMetadata(nullptr);  // That somebody is at work, before there is anything to say.
    status = Done(kStartBound);
  }
  if (status.ok()) status = Receive(bound, &reply);
  while (status.ok() && reply.has_reused()) {
    if (!reply.reused().words().empty()) words(reply.reused().fd(), reply.reused().words());
    if (reply.reused().last()) break;
    status = Receive(bound, &reply);
  }
  if (status.ok() && reply.has_wants_outputs()) {
    *request.mutable_outputs() = outputs(reply.wants_outputs().daemon_pid());
    status = Send(request, false, kStartBound);
    if (status.ok()) status = Receive(kStartBound, &reply);
  }
  if (!status.ok()) return status;
  if (reply.has_outdated()) return absl::UnavailableError("the daemon makes way for that of this ocp-watch");
  if (!reply.has_started() && !reply.has_reused()) {
    return absl::InternalError("the daemon answered something else than how to start");
  }
  return reply;
}

absl::StatusOr<v1::Session> SessionCall::Finish(const v1::RunRequest::Finish& finish) {
  v1::RunRequest request;
  *request.mutable_finish() = finish;
  v1::RunReply reply;
  absl::Status status = Send(request, true, kFinishBound);
  if (status.ok()) status = Receive(kFinishBound, &reply);
  if (!status.ok()) return status;
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

absl::Status SessionCall::Done(std::chrono::seconds bound) {
  const absl::StatusOr<bool> ok = Await(bound);
  if (!ok.ok()) return ok.status();
  return *ok ? absl::OkStatus() : End(bound);
}

absl::Status SessionCall::Send(const v1::RunRequest& request, bool last, std::chrono::seconds bound) {
  if (last) {
    stream_->WriteLast(request, grpc::WriteOptions(), nullptr);
  } else {
    stream_->Write(request, nullptr);
  }
  return Done(bound);
}

absl::Status SessionCall::Receive(std::chrono::seconds bound, v1::RunReply* reply) {
  stream_->Read(reply, nullptr);
  return Done(bound);
}

absl::Status SessionCall::End(std::chrono::seconds bound) {
  grpc::Status status;
  stream_->Finish(&status, nullptr);
  const absl::StatusOr<bool> ok = Await(bound);
  if (!ok.ok()) return ok.status();
  if (status.ok()) return absl::InternalError("the daemon ended the session without an answer");
  return FromRpc(status);
}

void SessionCall::Listen(Listener listener) {
  listening_ = std::thread([this, mine = std::move(listener)] { Hear(mine); });
}

bool SessionCall::NextHeard() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
    if (tag != kWrite) return ok;
  }
  return false;
}

void SessionCall::Hear(const Listener& listener) {
  v1::RunReply reply;
  while (true) {
    stream_->Read(&reply, nullptr);
    if (!NextHeard() || reply.has_finished()) break;
    if (reply.has_close_pipe()) listener.close_pipe(reply.close_pipe());
    reply.Clear();
  }
  absl::StatusOr<v1::RunReply> outcome = absl::InternalError("the daemon ended the session without an answer");
  if (reply.has_finished()) {
    outcome = std::move(reply);
  } else {
    listener.daemon_died();
    grpc::Status status;
    stream_->Finish(&status, nullptr);
    if (NextHeard() && !status.ok()) outcome = FromRpc(status);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  outcome_ = std::move(outcome);
  changed_.notify_all();
}

absl::StatusOr<v1::RunReply> SessionCall::FinishBuild(const v1::RunRequest::Finish& finish,
                                                      const std::function<bool()>& blocked) {
  v1::RunRequest request;
  *request.mutable_finish() = finish;
  std::unique_lock<std::mutex> lock(mutex_);
  if (!outcome_.has_value()) stream_->WriteLast(request, grpc::WriteOptions(), kWrite);
  const auto ended = [this] { return outcome_.has_value(); };
  while (!changed_.wait_for(lock, kFinishBound, ended)) {
    if (!blocked()) return absl::DeadlineExceededError("the daemon does not answer");
  }
  lock.unlock();
  listening_.join();
  return *std::move(outcome_);
}

}  // namespace ocpwatch
