#include "daemon/service/report_source.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/report/escape.h"
#include "daemon/session/log_reader.h"
#include "daemon/session/stored_model.h"

namespace ocpwatch {
namespace {

absl::StatusOr<ReportSource> CopyOf(Session& session) {
  std::vector<v1::StoredModel> parts;
  absl::Status status;
  session.WithTrace([&](const Trace& live) {
    status = StoreModel(live, [&](const v1::StoredModel& part) {
      parts.push_back(part);
      return absl::OkStatus();
    });
  });
  auto trace = std::make_shared<Trace>();
  trace->start_ns = session.header().start_ns();
  for (size_t i = 0; status.ok() && i < parts.size(); i++) {
    status = LoadModelPart(parts[i], trace.get());
    parts[i] = v1::StoredModel();  // Two copies at a time are enough.
  }
  if (!status.ok()) return status;
  // So that the view of events, which reads the log, does not end before the model does.
  session.FlushLog();
  ReportSource source;
  source.header = session.header();
  source.record = session.Record();
  source.log = source.record.log();
  source.trace = trace.get();
  source.owner = std::move(trace);
  return source;
}

absl::StatusOr<ReportSource> Load(const std::string& path) {
  auto loaded = LoadLog(path);
  if (!loaded.ok()) return loaded.status();
  std::shared_ptr<LoadedLog> log = *std::move(loaded);
  ReportSource source;
  source.header = log->header;
  source.record = MakeRecord(*log, path);
  source.log = path;
  source.trace = &log->trace;
  source.owner = std::move(log);
  return source;
}

}  // namespace

absl::StatusOr<ReportSource> SourceOf(const SessionRegistry::Found& found) {
  if (found.live != nullptr && !HasEnded(found.record)) return CopyOf(*found.live);
  auto source = Load(found.record.log());
  if (!source.ok()) {
    return absl::Status(source.status().code(),
                        absl::StrCat("session ", found.record.id(), ": ", std::string(source.status().message())));
  }
  // What the index knows better than the log: that the session was interrupted, or still runs in an older daemon.
  source->record.set_state(found.record.state());
  source->record.set_id(found.record.id());
  return source;
}

absl::StatusOr<ReportSource> SourceOfLog(const std::string& path) {
  if (path.empty() || path[0] != '/') {
    return absl::InvalidArgumentError(absl::StrCat("the log's path has to be absolute: \"", EscapeBytes(path), "\""));
  }
  return Load(path);
}

}  // namespace ocpwatch
