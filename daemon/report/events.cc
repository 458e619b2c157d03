#include <fcntl.h>

#include <cerrno>
#include <memory>

#include "daemon/report/event_row.h"
#include "daemon/report/selection.h"
#include "daemon/report/views.h"
#include "daemon/session/log_reader.h"
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

class EventFilter {
 public:
  EventFilter(const ReportInput& input, const v1::Selection& selection)
      : header_(input.header), trace_(input.trace), selection_(selection), selector_(selection) {}

  bool Takes(const v1::Event& event, const Applied& applied, const std::string& path) const {
    if (selector_.limits_commands()) {
      const Command* const command = trace_.Find(applied.command);
      if (command == nullptr || !selector_.TakesCommandItself(*command)) return false;
    }
    if (selector_.limits_paths() && (path.empty() || !selector_.TakesPath(path))) return false;
    if (!selection_.reads() && !selection_.writes() && !selection_.missing()) return true;
    if (!event.has_frame() || !event.frame().has_after()) return false;
    const v1::AfterCall& call = event.frame().after();
    const auto op = call.function() < static_cast<uint32_t>(header_.ops_size())
                        ? static_cast<v1::Op>(header_.ops(static_cast<int>(call.function())))
                        : v1::OP_NONE;
    return (selection_.missing() && (call.error() == ENOENT || call.error() == ENOTDIR)) ||
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
  const EventFilter filter(input, selection);
  RowLimit limit(selection.limit());
  v1::Event event;
  v1::ReportRow row;
  uint64_t passed = 0;
  while ((*reader)->Next(&event)) {
    ++passed;
    const Applied applied = tracker.Apply(event);
    const std::string path = applied.path == kNoPath ? std::string() : trace.Path(applied.path);
    if (!filter.Takes(event, applied, path)) continue;
    if (!MakeEventRow(header, event, applied, path, row.mutable_event())) continue;
    if (!limit.Take()) break;
    if (!sink->Write(row)) return absl::CancelledError();
  }
  if (limit.left_out() == 0) return absl::OkStatus();
  // Reading on only to count would cost seconds in a large log: this is how many were not looked at.
  row.set_left_out(std::max<uint64_t>(1, input.trace.events > passed ? input.trace.events - passed : 1));
  return sink->Write(row) ? absl::OkStatus() : absl::CancelledError();
}

}  // namespace ocpwatch
