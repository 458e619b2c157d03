#include <fcntl.h>

#include <memory>
#include <string_view>

#include "daemon/report/event_row.h"
#include "daemon/report/selection.h"
#include "daemon/report/views.h"
#include "daemon/session/log_reader.h"
#include "daemon/session/tracker.h"
#include "ocpwatch/v1/functions.pb.h"

namespace ocpwatch {
namespace {

bool IsWritingOp(v1::Op op, uint32_t flags) {
  switch (op) {
    case v1::OP_OPEN:
    case v1::OP_REOPEN:
      return (flags & O_ACCMODE) != O_RDONLY;
    case v1::OP_MKDIR:
    case v1::OP_MKNOD:
    case v1::OP_RENAME:
    case v1::OP_LINK:
    case v1::OP_SYMLINK:
    case v1::OP_CHMOD:
    case v1::OP_CHOWN:
    case v1::OP_UTIMES:
    case v1::OP_TRUNCATE:
    case v1::OP_SET_XATTR:
    case v1::OP_TEMP_FILE:
    case v1::OP_TEMP_DIR:
    case v1::OP_WRITE:
      return true;
    default:
      return false;
  }
}

bool IsReadingOp(v1::Op op, uint32_t flags) {
  switch (op) {
    case v1::OP_OPEN:
    case v1::OP_REOPEN:
      return (flags & O_ACCMODE) != O_WRONLY;
    case v1::OP_LOAD:
    case v1::OP_READ:
    case v1::OP_MAP:
      return true;
    default:
      return false;
  }
}

// Whether MakeEventRow makes a row of it.
bool IsShown(const v1::Event& event) {
  return event.has_damage() || (event.has_frame() && event.frame().body_case() != v1::Frame::BODY_NOT_SET);
}

class EventFilter {
 public:
  // `header` is the log's, `trace` the whole session's: a command that fails later is known to fail.
  EventFilter(const v1::SessionHeader& header, const Trace& trace, const v1::Selection& selection)
      : header_(header), trace_(trace), selection_(selection), selector_(selection) {}

  // False: every event is taken, whatever it is.
  bool is_active() const { return selector_.limits_commands() || selector_.limits_uses(); }

  // `paths`: of the tracker that gave `applied`.
  bool Takes(const v1::Event& event, const Applied& applied, const Trace& paths) const {
    if (selector_.limits_commands()) {
      const Command* const command = trace_.Find(applied.command);
      if (command == nullptr || !selector_.TakesCommandItself(*command)) return false;
    }
    const auto takes = [&](PathId path) { return path != kNoPath && selector_.TakesPath(paths.Path(path)); };
    if (selector_.limits_paths() && !takes(applied.path) && !takes(applied.path2)) return false;
    if (!selection_.reads() && !selection_.writes() && !selection_.missing()) return true;
    if (!event.has_frame() || !event.frame().has_after()) return false;
    const v1::AfterCall& call = event.frame().after();
    const auto op = call.function() < static_cast<uint32_t>(header_.ops_size())
                        ? static_cast<v1::Op>(header_.ops(static_cast<int>(call.function())))
                        : v1::OP_NONE;
    return (selection_.missing() && SaysMissing(op, call.flags(), call.error())) ||
           (selection_.reads() && call.error() == 0 && IsReadingOp(op, call.flags())) ||
           (selection_.writes() && call.error() == 0 && IsWritingOp(op, call.flags()));
  }

 private:
  const v1::SessionHeader& header_;
  const Trace& trace_;
  const v1::Selection& selection_;
  const Selector selector_;
};

}  // namespace

// The log holds what the processes said; a tracker beside it knows what their paths meant at that moment.
absl::Status WriteEvents(const ReportInput& input, const v1::Selection& selection, RowSink* sink) {
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(input.log);
  if (!reader.ok()) return reader.status();
  const v1::SessionHeader& header = (*reader)->header();
  Trace trace;
  Tracker tracker(&trace);
  tracker.Begin(header);
  const EventFilter filter(header, input.trace, selection);
  RowLimit limit(selection.limit());
  v1::Event event;
  v1::ReportRow row;
  uint64_t passed = 0;
  while ((*reader)->Next(&event)) {
    // Without a filter the rest need not be read to be counted; in a large log that takes seconds.
    if (limit.is_reached() && !filter.is_active()) break;
    if (IsShown(event)) ++passed;
    const Applied applied = tracker.Apply(event);
    if (!IsShown(event) || !filter.Takes(event, applied, trace)) continue;
    if (!limit.Take()) continue;
    const std::string_view path = applied.path == kNoPath ? std::string_view() : trace.Path(applied.path);
    MakeEventRow(header, event, applied, path, row.mutable_event());
    if (!sink->Write(row)) return absl::CancelledError();
  }
  uint64_t left_out = limit.left_out();
  if (!filter.is_active() && input.trace.events > passed) left_out = input.trace.events - passed;
  if (!limit.is_reached() || left_out == 0) return absl::OkStatus();
  row.set_left_out(left_out);
  return sink->Write(row) ? absl::OkStatus() : absl::CancelledError();
}

}  // namespace ocpwatch
