#include "daemon/service/monitor_service.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/ingest/futex.h"
#include "daemon/ingest/ring.h"
#include "daemon/service/behaviours.h"
#include "daemon/service/build_run.h"
#include "daemon/service/retention.h"
#include "daemon/service/session_row.h"
#include "daemon/service/status_convert.h"
#include "ocpwatch/v1/succession.h"
#include "ocpwatch/v1/version.h"
#include "preload/gencalls/call_table.h"

namespace ocpwatch {
namespace {

uint64_t ResidentBytes() {
  FILE* file = fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  uint64_t size = 0;
  uint64_t resident = 0;
  if (fscanf(file, "%lu %lu", &size, &resident) != 2) resident = 0;
  fclose(file);
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

v1::SessionEnd EndOf(const v1::RunRequest::Finish& finish) {
  v1::SessionEnd end;
  switch (finish.how_case()) {
    case v1::RunRequest::Finish::kExitStatus:
      end.set_exit_status(finish.exit_status());
      break;
    case v1::RunRequest::Finish::kSignal:
      end.set_signal(finish.signal());
      break;
    case v1::RunRequest::Finish::kNotStarted:
      end.set_unknown(absl::StrCat("the command could not be started: ", finish.not_started()));
      break;
    case v1::RunRequest::Finish::HOW_NOT_SET:
      end.set_unknown("the client did not say how the command ended");
      break;
  }
  return end;
}

}  // namespace

void MonitorService::CallMark::Note() { service_->last_call_ns_ = absl::ToUnixNanos(absl::Now()); }

MonitorService::MonitorService(SessionRegistry* registry, Store* store, DaemonFacts facts, ShutdownFn shutdown)
    : registry_(registry),
      store_(store),
      facts_(std::move(facts)),
      shutdown_(std::move(shutdown)),
      started_(absl::Now()),
      last_call_ns_(absl::ToUnixNanos(started_)) {}

void MonitorService::SetConfiguration(const v1::Configuration& configuration) {
  absl::MutexLock lock(&mutex_);
  configuration_ = configuration;
}

v1::Configuration MonitorService::configuration() {
  absl::MutexLock lock(&mutex_);
  return configuration_;
}

absl::Time MonitorService::last_call() const { return absl::FromUnixNanos(last_call_ns_); }

absl::StatusOr<v1::SessionHeader> MonitorService::HeaderFor(const v1::RunRequest::Start& start) {
  if (start.argv().empty()) return absl::InvalidArgumentError("Start needs the command in argv");
  v1::SessionHeader header;
  header.set_name(start.name());
  header.set_mode(start.mode() == v1::MODE_UNSPECIFIED ? v1::MODE_RECORD : start.mode());
  *header.mutable_argv() = start.argv();
  header.set_cwd(start.cwd());
  std::string behaviours = DefaultBehaviours(header.mode());
  {
    absl::MutexLock lock(&mutex_);
    if (absl::Status status = ChangeBehaviours(configuration_.calls(), &behaviours); !status.ok()) return status;
  }
  if (absl::Status status = ChangeBehaviours(start.calls(), &behaviours); !status.ok()) return status;
  header.set_behaviours(std::move(behaviours));
  return header;
}

namespace {

// One that does not say which build it is takes any daemon.
bool IsOutdatedFor(const v1::RunRequest::Start& start) {
  return !start.client_build_id().empty() &&
         MakesWay({kVersion, kBuildId}, {start.client_version(), start.client_build_id()});
}

// The exec that makes the command's first process, told by the client since nobody traced sees it. Only of a program
// that cannot be observed in full: any other tells of itself.
void TellOpaqueStart(const v1::RunRequest::Start& start, Session* session) {
  if (start.opaque() == v1::OPAQUE_NONE) return;
  v1::Frame frame;
  frame.set_process(1);
  frame.set_time_ns(static_cast<uint64_t>(MonotonicNs()));
  v1::BeforeCall* const call = frame.mutable_before();
  call->set_function(FindFunction("execve"));
  call->set_id(1);
  call->set_fd(AT_FDCWD);
  call->set_path(start.program());
  *call->mutable_argv() = start.argv();
  call->set_opaque(start.opaque());
  session->OnFrame(frame, frame.SerializeAsString());
}

}  // namespace

grpc::Status MonitorService::RunSession(grpc::ServerContext* context,
                                        grpc::ServerReaderWriter<v1::RunReply, v1::RunRequest>* stream) {
  CallMark mark(this);
  v1::RunRequest request;
  if (!stream->Read(&request) || !request.has_start()) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "the first message has to be Start");
  }
  v1::RunReply reply;
  if (IsOutdatedFor(request.start()) && registry_->running() == 0) {
    reply.mutable_outdated();
    stream->Write(reply);
    return grpc::Status::OK;
  }
  // The client hears at once that somebody is at work: what follows may take long.
  stream->SendInitialMetadata();
  auto header = HeaderFor(request.start());
  if (!header.ok()) return ToGrpc(header.status());
  const bool build = header->mode() == v1::MODE_BUILD;
  if (build && store_ == nullptr) {
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                        absl::StrCat("the store in ", facts_.state_directory, " cannot be used; see watchd.log there"));
  }
  RunReplies replies(stream);
  BuildRun run(store_, neighbours_, configuration(), facts_.state_directory, request.start(), &replies);
  auto started = registry_->Start(
      *std::move(header),
      build ? [&run](const v1::SessionHeader& complete) { return run.Follow(complete); } : SessionRegistry::FollowFn());
  if (!started.ok()) return ToGrpc(started.status());
  const std::shared_ptr<Session> session = *std::move(started);
  spdlog::info("session {} starts: pid {}, {}", session->header().id(), request.start().client_pid(),
               session->header().argv(0));
  if (build && run.ReuseWhole(session.get())) return grpc::Status::OK;
  session->Listen();
  TellOpaqueStart(request.start(), session.get());

  reply.mutable_started()->set_session_id(session->header().id());
  reply.mutable_started()->set_preload(facts_.preload);
  // The command's first process is number 1 and a child of the client.
  reply.mutable_started()->set_watch_variable(absl::StrCat(
      kWatchVariable, "=", session->ring().WatchVariable(1, 0, request.start().client_pid(), facts_.intercept_socket)));
  v1::SessionEnd end;
  if ((!build || run.Prepare(stream, reply.mutable_started())) && replies.Write(reply) && stream->Read(&request) &&
      request.has_finish()) {
    end = EndOf(request.finish());
  } else {
    end.set_unknown("the client went away");
  }
  // A session that InterruptAll has ended meanwhile keeps that end.
  reply.Clear();
  *reply.mutable_finished() = SessionRow(session->Finish(end));
  if (build) *reply.mutable_totals() = run.Finish();
  replies.Write(reply);
  spdlog::info("session {}: its command has ended{}", session->header().id(),
               context->IsCancelled() ? ", and its client is gone" : "");
  return grpc::Status::OK;
}

grpc::Status MonitorService::ListSessions(grpc::ServerContext*, const v1::ListSessionsRequest* request,
                                          v1::ListSessionsReply* reply) {
  CallMark mark(this);
  auto records = registry_->List(request->running_only());
  if (!records.ok()) return ToGrpc(records.status());
  for (const v1::SessionRecord& record : *records) *reply->add_sessions() = SessionRow(record);
  return grpc::Status::OK;
}

grpc::Status MonitorService::RemoveSessions(grpc::ServerContext* context, const v1::RemoveSessionsRequest* request,
                                            v1::RemoveSessionsReply* reply) {
  CallMark mark(this);
  std::vector<std::string> ids;
  // All names are looked up first: a wrong one among them removes nothing.
  for (const std::string& name : request->sessions()) {
    if (name.empty()) return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "an empty name names no session");
    auto found = registry_->Lookup(name);
    if (!found.ok()) return ToGrpc(found.status());
    if (!HasEnded(found->record)) {
      return grpc::Status(
          grpc::StatusCode::FAILED_PRECONDITION,
          absl::StrCat("session ", found->record.id(), " still runs; it can be removed when its command has ended"));
    }
    ids.push_back(found->record.id());
  }
  if (request->all_finished()) {
    auto records = registry_->List(false);
    if (!records.ok()) return ToGrpc(records.status());
    const int64_t before =
        absl::ToUnixNanos(absl::Now() - absl::Seconds(static_cast<double>(request->older_than_seconds())));
    for (const v1::SessionRecord& record : *records) {
      if (HasEnded(record) && (request->older_than_seconds() == 0 || EndUnixNs(record) < before)) {
        ids.push_back(record.id());
      }
    }
  }
  for (const std::string& id : ids) {
    if (context->IsCancelled()) return grpc::Status::CANCELLED;
    auto freed = registry_->Remove(id);
    if (absl::IsNotFound(freed.status())) continue;  // Named twice, or removed by somebody else meanwhile.
    if (!freed.ok()) return ToGrpc(freed.status());
    reply->add_removed(id);
    reply->set_freed_bytes(reply->freed_bytes() + *freed);
  }
  return grpc::Status::OK;
}

grpc::Status MonitorService::Status(grpc::ServerContext*, const v1::StatusRequest* request, v1::StatusReply* reply) {
  CallMark mark(this);
  reply->set_version(kVersion);
  reply->set_build_id(kBuildId);
  reply->set_pid(getpid());
  reply->set_uptime_seconds(absl::ToInt64Seconds(absl::Now() - started_));
  reply->set_running_sessions(static_cast<uint32_t>(registry_->running()));
  if (!request->brief()) {
    const SessionRegistry::Totals totals = registry_->totals();
    reply->set_stored_sessions(totals.stored);
    reply->set_events(totals.events);
    reply->set_log_bytes(totals.log_bytes);
  }
  reply->set_resident_bytes(ResidentBytes());
  reply->set_state_directory(facts_.state_directory);
  reply->set_runtime_directory(facts_.runtime_directory);
  reply->set_draining(draining_);
  reply->set_started_by(facts_.started_by);
  return grpc::Status::OK;
}

grpc::Status MonitorService::Shutdown(grpc::ServerContext*, const v1::ShutdownRequest* request,
                                      v1::ShutdownReply* reply) {
  CallMark mark(this);
  const size_t running = registry_->running();
  reply->set_running_sessions(static_cast<uint32_t>(running));
  if (running > 0 && !request->drain()) return grpc::Status::OK;  // stopping: false
  if (absl::Status status = shutdown_(request->drain()); !status.ok()) return ToGrpc(status);
  draining_ = true;
  reply->set_stopping(true);
  return grpc::Status::OK;
}

}  // namespace ocpwatch
