#include "daemon/service/session_row.h"

#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace ocpwatch {
namespace {

// The length of the well-formed UTF-8 character at the start of `bytes`; 0 if there is none.
size_t CharacterAt(std::string_view bytes) {
  const auto at = [bytes](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  const size_t size = lead >= 0xc2 && lead < 0xe0   ? 2
                      : lead >= 0xe0 && lead < 0xf0 ? 3
                      : lead >= 0xf0 && lead < 0xf5 ? 4
                                                    : 0;
  if (size == 0 || size > bytes.size()) return 0;
  for (size_t i = 1; i < size; i++) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xe0 && at(1) < 0xa0) || (lead == 0xf0 && at(1) < 0x90);
  const bool surrogate = lead == 0xed && at(1) >= 0xa0;
  const bool too_large = lead == 0xf4 && at(1) >= 0x90;
  return overlong || surrogate || too_large ? 0 : size;
}

std::string ToText(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const size_t size = CharacterAt(bytes);
    if (size == 0) {
      constexpr char kDigits[] = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(bytes[0]);
      text += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    } else if (bytes[0] == '\\') {
      text += "\\\\";
    } else {
      text += bytes.substr(0, size);
    }
    bytes.remove_prefix(size == 0 ? 1 : size);
  }
  return text;
}

}  // namespace

v1::Session SessionRow(const v1::SessionRecord& record) {
  v1::Session session;
  session.set_id(record.id());
  session.set_name(record.name());
  session.set_state(record.state());
  session.set_mode(record.mode() == v1::MODE_BUILD ? "build" : "record");
  for (const std::string& argument : record.argv()) session.add_argv(ToText(argument));
  session.set_cwd(ToText(record.cwd()));
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
