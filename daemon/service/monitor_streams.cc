// Report and Follow of MonitorService: the calls that answer with a stream.
#include <malloc.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "daemon/report/event_row.h"
#include "daemon/report/report.h"
#include "daemon/report/rows.h"
#include "daemon/report/selection.h"
#include "daemon/service/monitor_service.h"
#include "daemon/service/report_source.h"
#include "daemon/service/session_row.h"
#include "daemon/service/status_convert.h"

namespace ocpwatch {
namespace {

// glibc keeps what a large model leaves behind, for ever, unless it is asked for it.
constexpr size_t kLargeModel = size_t{32} << 20;

// A follower whose client has gone is noticed after so long, even if nothing happens in its session.
constexpr absl::Duration kCancelCheck = absl::Milliseconds(200);

class WriterSink final : public RowSink {
 public:
  WriterSink(grpc::ServerContext* context, grpc::ServerWriter<v1::ReportRow>* writer)
      : context_(context), writer_(writer) {}
  // Without gRPC's buffer hint: with it a stream of small rows stands still.
  bool Write(const v1::ReportRow& row) override { return !context_->IsCancelled() && writer_->Write(row); }

 private:
  grpc::ServerContext* const context_;
  grpc::ServerWriter<v1::ReportRow>* const writer_;
};

class RowBuffer final : public RowSink {
 public:
  bool Write(const v1::ReportRow& row) override {
    rows_.push_back(row);
    return true;
  }
  const std::vector<v1::ReportRow>& rows() const { return rows_; }

 private:
  std::vector<v1::ReportRow> rows_;
};

// Of a running session, without a copy: a summary takes one look at the model, which is less than copying it.
absl::Status Summarise(const SessionRegistry::Found& found, const v1::ReportRequest& request, RowSink* sink) {
  const v1::Session session = SessionRow(found.record);
  RowBuffer buffer;
  absl::Status status;
  found.live->WithTrace([&](const Trace& trace) {
    status = WriteReport({trace, found.live->header(), session, found.record.log()}, request, &buffer);
  });
  for (const v1::ReportRow& row : buffer.rows()) {
    if (!sink->Write(row)) return absl::CancelledError("the client has gone");
  }
  return status;
}

// Of a session that has ended, or of a log: without its model.
absl::Status Summarise(const absl::StatusOr<LoadedTotals>& totals, RowSink* sink) {
  if (!totals.ok()) return totals.status();
  return WriteSummaryReport(totals->totals, totals->header, SessionRow(totals->record), sink);
}

// Turns what a subscription brings into what a follower is sent.
class Follower {
 public:
  Follower(Session* session, grpc::ServerWriter<v1::FollowReply>* writer) : session_(*session), writer_(writer) {}

  // Each returns false when the client has gone.
  bool TellSession() {
    v1::FollowReply reply;
    *reply.mutable_session() = SessionRow(session_.Record());
    return writer_->Write(reply);
  }

  bool TellMissed(uint64_t missed) {
    v1::FollowReply reply;
    reply.set_missed(missed);
    return writer_->Write(reply);
  }

  // Every command up to now. Each is copied by itself, so the session is held up for one at a time.
  bool TellAllCommands() {
    CommandId last = 0;
    session_.WithTrace([&](const Trace& trace) { last = static_cast<CommandId>(trace.commands().size()); });
    for (CommandId id = 1; id <= last; id++) {
      bool ended = false;
      session_.WithTrace([&](const Trace& trace) {
        const Command* command = trace.Find(id);
        ended = command != nullptr && command->end != v1::END_RUNNING;
      });
      if (!TellStarted(id) || (ended && !TellEnded(id))) return false;
    }
    return true;
  }

  bool Tell(const Notification& notification, bool events) {
    switch (notification.kind) {
      case Notification::Kind::kCommandStarted:
        return events || TellStarted(notification.command);
      case Notification::Kind::kCommandEnded:
        return events || TellEnded(notification.command);
      case Notification::Kind::kEvent:
        return TellEvent(notification);
      case Notification::Kind::kClosed:
        return true;
    }
    return true;
  }

 private:
  bool TellStarted(CommandId id) {
    if (!started_.insert(id).second) return true;
    v1::FollowReply reply;
    session_.WithTrace([&](const Trace& trace) {
      const Command* command = trace.Find(id);
      if (command != nullptr) *reply.mutable_command_started() = CommandRow(trace, *command);
    });
    // Not there: it was taken back, its exec had failed.
    return !reply.has_command_started() || writer_->Write(reply);
  }

  bool TellEnded(CommandId id) {
    if (!ended_.insert(id).second) return true;
    v1::FollowReply reply;
    session_.WithTrace([&](const Trace& trace) {
      const Command* command = trace.Find(id);
      if (command == nullptr) return;
      *reply.mutable_command_ended() = CommandRow(trace, *command);
      AddFileLists(trace, *command, everything_, reply.mutable_command_ended());
    });
    return !reply.has_command_ended() || writer_->Write(reply);
  }

  bool TellEvent(const Notification& notification) {
    v1::FollowReply reply;
    if (!MakeEventRow(session_.header(), notification.event, notification.applied, notification.path,
                      reply.mutable_event())) {
      return true;
    }
    return writer_->Write(reply);
  }

  Session& session_;
  grpc::ServerWriter<v1::FollowReply>* const writer_;
  const v1::Selection no_selection_;
  const Selector everything_{no_selection_};
  // A subscription begins before the commands up to then are told, so some come twice.
  absl::flat_hash_set<CommandId> started_;
  absl::flat_hash_set<CommandId> ended_;
};

}  // namespace

grpc::Status MonitorService::Report(grpc::ServerContext* context, const v1::ReportRequest* request,
                                    grpc::ServerWriter<v1::ReportRow>* writer) {
  CallMark mark(this);
  WriterSink sink(context, writer);
  const bool summary = request->view() == v1::VIEW_SUMMARY;
  absl::StatusOr<ReportSource> source;
  if (request->has_log()) {
    if (summary) return ToGrpc(Summarise(TotalsOfLog(request->log()), &sink));
    source = SourceOfLog(request->log());
  } else if (auto found = registry_->Lookup(request->session()); !found.ok()) {
    source = found.status();
  } else if (summary) {
    const bool runs = found->live != nullptr && !HasEnded(found->record);
    return ToGrpc(runs ? Summarise(*found, *request, &sink) : Summarise(TotalsOf(*found), &sink));
  } else {
    source = SourceOf(*found);
  }
  if (!source.ok()) return ToGrpc(source.status());
  const v1::Session session = SessionRow(source->record);
  const absl::Status status = WriteReport({*source->trace, source->header, session, source->log}, *request, &sink);
  if (source->trace->MemoryUse() > kLargeModel) {
    source->owner.reset();
    malloc_trim(0);
  }
  return ToGrpc(status);
}

grpc::Status MonitorService::Follow(grpc::ServerContext* context, const v1::FollowRequest* request,
                                    grpc::ServerWriter<v1::FollowReply>* writer) {
  CallMark mark(this);
  auto session = registry_->LookupRunning(request->session());
  if (!session.ok()) return ToGrpc(session.status());
  const std::shared_ptr<Subscription> subscription = (*session)->Subscribe(request->events());
  Follower follower(session->get(), writer);
  if (!follower.TellSession()) return grpc::Status::CANCELLED;
  if (request->from_start() && !request->events() && !follower.TellAllCommands()) return grpc::Status::CANCELLED;
  while (!context->IsCancelled()) {
    const std::optional<Notification> notification = subscription->Next(kCancelCheck);
    if (const uint64_t missed = subscription->TakeMissed(); missed > 0 && !follower.TellMissed(missed)) break;
    if (!notification.has_value()) continue;
    if (!follower.Tell(*notification, request->events())) break;
    if (notification->kind == Notification::Kind::kClosed) {
      return follower.TellSession() ? grpc::Status::OK : grpc::Status::CANCELLED;
    }
  }
  return grpc::Status::CANCELLED;
}

}  // namespace ocpwatch
