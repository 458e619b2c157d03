// The gRPC service: each call turned into questions to the registry, a session, a log or the daemon.
//
// Every call runs in a thread of gRPC's until it returns. A call whose client has gone or whose deadline has passed
// stops at its next row. Report and Follow are in monitor_streams.cc.
#ifndef OCPWATCH_DAEMON_SERVICE_MONITOR_SERVICE_H_
#define OCPWATCH_DAEMON_SERVICE_MONITOR_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "daemon/build/recorder.h"
#include "daemon/service/session_registry.h"
#include "daemon/store/store.h"
#include "ocpwatch/v1/configuration.pb.h"
#include "ocpwatch/v1/monitor.grpc.pb.h"

namespace ocpwatch {

// A call more than these is refused: the sessions' own, and as many again for queries and listeners.
inline constexpr int kMaxCalls = 2 * static_cast<int>(kMaxRunningSessions);

// What the service has to know of the daemon around it.
struct DaemonFacts {
  std::string preload;           // Path of the library.
  std::string intercept_socket;  // Path.
  std::string state_directory;
  std::string runtime_directory;
  std::string started_by;  // "systemd", "client", "foreground"
};

class MonitorService final : public v1::Monitor::Service {
 public:
  // Ends the daemon, or refuses: see Daemon::RequestShutdown. Called from gRPC's threads.
  using ShutdownFn = std::function<absl::Status(bool drain)>;

  // `store` may be null: then there are no builds.
  MonitorService(SessionRegistry* registry, Store* store, DaemonFacts facts, ShutdownFn shutdown);

  // Any thread; sessions that start later use it.
  void SetConfiguration(const v1::Configuration& configuration);
  // When a call began or ended last.
  absl::Time last_call() const;
  bool draining() const { return draining_; }

  grpc::Status RunSession(grpc::ServerContext* context,
                          grpc::ServerReaderWriter<v1::RunReply, v1::RunRequest>* stream) override;
  grpc::Status ListSessions(grpc::ServerContext* context, const v1::ListSessionsRequest* request,
                            v1::ListSessionsReply* reply) override;
  grpc::Status RemoveSessions(grpc::ServerContext* context, const v1::RemoveSessionsRequest* request,
                              v1::RemoveSessionsReply* reply) override;
  grpc::Status Report(grpc::ServerContext* context, const v1::ReportRequest* request,
                      grpc::ServerWriter<v1::ReportRow>* writer) override;
  grpc::Status Follow(grpc::ServerContext* context, const v1::FollowRequest* request,
                      grpc::ServerWriter<v1::FollowReply>* writer) override;
  grpc::Status Explain(grpc::ServerContext* context, const v1::ExplainRequest* request,
                       grpc::ServerWriter<v1::ExplainRow>* writer) override;
  grpc::Status Why(grpc::ServerContext* context, const v1::WhyRequest* request, v1::WhyReply* reply) override;
  grpc::Status Plan(grpc::ServerContext* context, const v1::PlanRequest* request,
                    grpc::ServerWriter<v1::PlanRow>* writer) override;
  grpc::Status Affected(grpc::ServerContext* context, const v1::AffectedRequest* request,
                        grpc::ServerWriter<v1::AffectedRow>* writer) override;
  grpc::Status Stats(grpc::ServerContext* context, const v1::StatsRequest* request, v1::StatsReply* reply) override;
  grpc::Status CollectGarbage(grpc::ServerContext* context, const v1::CollectGarbageRequest* request,
                              v1::CollectGarbageReply* reply) override;
  grpc::Status Verify(grpc::ServerContext* context, const v1::VerifyRequest* request, v1::VerifyReply* reply) override;
  grpc::Status Clear(grpc::ServerContext* context, const v1::ClearRequest* request, v1::ClearReply* reply) override;
  grpc::Status Status(grpc::ServerContext* context, const v1::StatusRequest* request, v1::StatusReply* reply) override;
  grpc::Status Shutdown(grpc::ServerContext* context, const v1::ShutdownRequest* request,
                        v1::ShutdownReply* reply) override;

 private:
  // Notes a call's begin and end for last_call.
  class CallMark {
   public:
    explicit CallMark(MonitorService* service) : service_(service) { Note(); }
    ~CallMark() { Note(); }
    CallMark(const CallMark&) = delete;
    CallMark& operator=(const CallMark&) = delete;

   private:
    void Note();
    MonitorService* const service_;
  };
  v1::Configuration configuration();
  absl::StatusOr<v1::SessionHeader> HeaderFor(const v1::RunRequest::Start& start);

  SessionRegistry* const registry_;
  Store* const store_;
  const std::shared_ptr<BuildNeighbours> neighbours_ = std::make_shared<BuildNeighbours>();
  const DaemonFacts facts_;
  const ShutdownFn shutdown_;
  const absl::Time started_;
  std::atomic<int64_t> last_call_ns_;
  std::atomic<bool> draining_{false};
  absl::Mutex mutex_;
  v1::Configuration configuration_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_MONITOR_SERVICE_H_
