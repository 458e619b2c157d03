#include "daemon/service/session_row.h"

#include <string>

#include "absl/time/time.h"
#include "daemon/report/escape.h"

namespace ocpwatch {

v1::Session SessionRow(const v1::SessionRecord& record) {
  v1::Session session;
  session.set_id(record.id());
  session.set_name(record.name());
  session.set_state(record.state());
  session.set_mode(record.mode() == v1::MODE_BUILD ? "build" : "record");
  for (const std::string& argument : record.argv()) session.add_argv(EscapeBytes(argument));
  session.set_cwd(EscapeBytes(record.cwd()));
  session.set_host(record.host());
  session.set_started(
      absl::FormatTime(absl::RFC3339_sec, absl::FromUnixNanos(record.start_unix_ns()), absl::LocalTimeZone()));
  session.set_start_unix_ns(record.start_unix_ns());
  session.set_duration_ns(record.duration_ns());
  switch (record.end().how_case()) {
    case v1::SessionEnd::kExitStatus:
      session.set_exit_status(record.end().exit_status());
      break;
    case v1::SessionEnd::kSignal:
      session.set_signal(record.end().signal());
      break;
    case v1::SessionEnd::kUnknown:
      session.set_end_unknown(record.end().unknown());
      break;
    case v1::SessionEnd::HOW_NOT_SET:
      break;
  }
  session.set_events(record.events());
  session.set_processes(record.processes());
  session.set_commands(record.commands());
  session.set_log_bytes(record.log_bytes());
  session.set_log(record.log());
  session.set_complete(record.truth().complete());
  *session.mutable_not_seen() = record.truth().notes();
  session.set_log_format(record.log_format());
  return session;
}

}  // namespace ocpwatch
