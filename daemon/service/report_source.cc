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

// Of what was loaded for a row of the index: its error names the session, and what the index knows better than the log
// is put right: that the session was interrupted, or still runs in an older daemon.
template <typename Loaded>
absl::StatusOr<Loaded> AsTheIndexKnows(const v1::SessionRecord& record, absl::StatusOr<Loaded> loaded) {
  if (!loaded.ok()) {
    return absl::Status(loaded.status().code(),
                        absl::StrCat("session ", record.id(), ": ", std::string(loaded.status().message())));
  }
  loaded->record.set_state(record.state());
  loaded->record.set_id(record.id());
  return loaded;
}

absl::Status CheckPath(const std::string& path) {
  if (!path.empty() && path[0] == '/') return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the log's path has to be absolute: \"", EscapeBytes(path), "\""));
}

}  // namespace

absl::StatusOr<ReportSource> SourceOf(const SessionRegistry::Found& found) {
  if (found.live != nullptr && !HasEnded(found.record)) return CopyOf(*found.live);
  return AsTheIndexKnows(found.record, Load(found.record.log()));
}

absl::StatusOr<ReportSource> SourceOfLog(const std::string& path) {
  if (absl::Status status = CheckPath(path); !status.ok()) return status;
  return Load(path);
}

absl::StatusOr<LoadedTotals> TotalsOf(const SessionRegistry::Found& found) {
  return AsTheIndexKnows(found.record, LoadTotals(found.record.log()));
}

absl::StatusOr<LoadedTotals> TotalsOfLog(const std::string& path) {
  if (absl::Status status = CheckPath(path); !status.ok()) return status;
  return LoadTotals(path);
}

}  // namespace ocpwatch
