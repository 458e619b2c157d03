#include "daemon/service/build_run.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace ocpwatch {
namespace {

// gRPC takes up to 4 MiB in one message.
constexpr size_t kWordsPart = size_t{1} << 20;
// A terminal that somebody has stopped (Ctrl-S) may take its output much later; the client forwards what is left.
constexpr absl::Duration kForwardBound = absl::Seconds(10);

}  // namespace

BuildRun::BuildRun(Store* store, std::shared_ptr<BuildNeighbours> neighbours, v1::Configuration configuration,
                   std::string directory, v1::RunRequest::Start start, RunReplies* replies)
    : store_(store),
      neighbours_(std::move(neighbours)),
      configuration_(std::move(configuration)),
      directory_(std::move(directory)),
      start_(std::move(start)),
      replies_(replies) {}

BuildRun::~BuildRun() {
  if (relay_ != nullptr) relay_->Disconnect();
}

std::shared_ptr<SessionFollower> BuildRun::Follow(const v1::SessionHeader& header) {
  BuildSetup setup;
  setup.store = store_;
  setup.neighbours = neighbours_;
  setup.configuration = configuration_;
  setup.header = header;
  setup.start = start_;
  recorder_ = std::make_shared<BuildRecorder>(std::move(setup));
  return recorder_;
}

bool BuildRun::ReuseWhole(Session* session) {
  Decisions decisions;
  const std::shared_ptr<const StoredAction> hit = recorder_->TryWhole(&decisions);
  session->Note(decisions);
  if (hit == nullptr) return false;
  v1::RunReply reply;
  v1::RunReply::Reused& reused = *reply.mutable_reused();
  reused.set_session_id(session->header().id());
  for (const v1::Output& output : hit->record.outputs()) {
    const absl::StatusOr<std::string> words = store_->ReadBlob(FromProto(output.digest()));
    if (!words.ok()) continue;
    for (size_t at = 0; at < words->size(); at += kWordsPart) {
      reused.set_fd(output.fds(0));
      reused.set_words(words->substr(at, kWordsPart));
      if (!replies_->Write(reply)) break;
    }
  }
  reused.clear_words();
  reused.set_last(true);
  reused.set_exit_status(hit->record.exit_status());
  if (hit->record.has_input_offset()) reused.set_input_offset(hit->record.input_offset());
  v1::SessionEnd end;
  end.set_exit_status(hit->record.exit_status());
  session->Finish(end);
  *reply.mutable_totals() = recorder_->Totals();
  replies_->Write(reply);
  return true;
}

bool BuildRun::Prepare(RunStream* stream, v1::RunReply::Started* started) {
  v1::RunReply reply;
  reply.mutable_wants_outputs()->set_daemon_pid(getpid());
  v1::RunRequest request;
  if (!replies_->Write(reply) || !stream->Read(&request)) return false;
  absl::StatusOr<Pool> pool = TakePool(start_.client_pid(), request.outputs());
  if (pool.ok()) {
    relay_ = std::make_shared<Relay>(*std::move(pool), directory_, [this](int32_t number) {
      v1::RunReply close;
      close.set_close_pipe(number);
      replies_->Write(close);
    });
  } else {
    spdlog::warn("session {}: outputs cannot be captured: {}", started->session_id(),
                 std::string(pool.status().message()));
  }
  for (v1::Substitute& substitute : recorder_->PrepareCommand(relay_)) {
    *started->add_substitutes() = std::move(substitute);
  }
  return true;
}

v1::BuildTotals BuildRun::Finish() {
  if (relay_ != nullptr) relay_->WaitForwarded(kForwardBound);
  return recorder_->Totals();
}

}  // namespace ocpwatch
