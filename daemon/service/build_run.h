// A build session from its Start to its Finish: the part of RunSession that only builds need.
//
//   Start ── nothing needs to run? ── Reused ... Reused{last}                         the session ends at once
//        └── WantsOutputs ── Outputs ── Started with what the command finds in place of its outputs ── Finish ── totals
//
// Used by the thread of one RunSession call.
#ifndef OCPWATCH_DAEMON_SERVICE_BUILD_RUN_H_
#define OCPWATCH_DAEMON_SERVICE_BUILD_RUN_H_

#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <string>

#include "absl/synchronization/mutex.h"
#include "daemon/build/recorder.h"
#include "daemon/session/session.h"
#include "daemon/store/store.h"
#include "ocpwatch/v1/monitor.grpc.pb.h"

namespace ocpwatch {

using RunStream = grpc::ServerReaderWriter<v1::RunReply, v1::RunRequest>;

// One writer at a time: the relay's thread has something to say, too.
class RunReplies {
 public:
  explicit RunReplies(RunStream* stream) : stream_(stream) {}
  bool Write(const v1::RunReply& reply) {
    absl::MutexLock lock(&mutex_);
    return stream_->Write(reply);
  }

 private:
  absl::Mutex mutex_;
  RunStream* const stream_;
};

class BuildRun {
 public:
  // `directory`: for long outputs, until they are in the store. All outlive the run.
  BuildRun(Store* store, std::shared_ptr<BuildNeighbours> neighbours, v1::Configuration configuration,
           std::string directory, v1::RunRequest::Start start, RunReplies* replies);

  // The session may outlive the run, and its recorder and relay with it.
  ~BuildRun();
  BuildRun(const BuildRun&) = delete;
  BuildRun& operator=(const BuildRun&) = delete;

  // For Session::Start.
  std::shared_ptr<SessionFollower> Follow(const v1::SessionHeader& header);

  // True: nothing had to run, the client has been told so, and the session has ended.
  bool ReuseWhole(Session* session);
  // Else: asks the client for pipes and adds to `started`. False: the client has gone away.
  bool Prepare(RunStream* stream, v1::RunReply::Started* started);
  // After the session's Finish: its outputs are where they belong.
  v1::BuildTotals Finish();

 private:
  Store* const store_;
  const std::shared_ptr<BuildNeighbours> neighbours_;
  const v1::Configuration configuration_;
  const std::string directory_;
  const v1::RunRequest::Start start_;
  RunReplies* const replies_;
  std::shared_ptr<Relay> relay_;
  std::shared_ptr<BuildRecorder> recorder_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_BUILD_RUN_H_
