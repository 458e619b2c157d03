#include "daemon/report/rows.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/report/escape.h"

namespace ocpwatch {
namespace {

const char* ReasonText(v1::OpaqueReason reason) {
  switch (reason) {
    case v1::OPAQUE_NONE:
      return "";
    case v1::OPAQUE_STATIC:
      return "statically linked";
    case v1::OPAQUE_SETUID:
      return "setuid or setgid";
    case v1::OPAQUE_CAPABILITIES:
      return "has file capabilities";
    case v1::OPAQUE_OTHER_CLASS:
      return "built for another machine or word size";
    case v1::OPAQUE_OTHER_LIBC:
      return "uses another libc";
    case v1::OPAQUE_GO:
      return "a Go program: it makes its system calls itself";
    case v1::OPAQUE_UNREACHABLE:
      return "the preload library cannot be reached from its root directory";
    case v1::OPAQUE_SILENT:
      return "was executed and never announced itself";
    case v1::OPAQUE_UNREADABLE:
      return "its executable could not be read";
    case v1::OPAQUE_IO_URING:
      return "set up an io_uring";
    case v1::OPAQUE_RAW_SYSCALL:
      return "made system calls that could not be followed";
    case v1::OPAQUE_OTHER_USER:
      return "runs as another user";
    case v1::OPAQUE_LOST_FRAMES:
      return "some of its calls were lost";
    case v1::OPAQUE_CLONED:
      return "made a process by clone() in a form that could not be followed";
    default:
      return "could not be observed in full";
  }
}

using Lists = google::protobuf::RepeatedPtrField<std::string>;

}  // namespace

int64_t SinceStart(const Trace& trace, uint64_t time_ns) {
  return time_ns > trace.start_ns ? static_cast<int64_t>(time_ns - trace.start_ns) : 0;
}

std::string OpaqueText(v1::OpaqueReason reason, const std::string& detail) {
  const std::string_view text = ReasonText(reason);
  if (text.empty() || detail.empty()) return std::string(text);
  return absl::StrCat(std::string(text), ": ", EscapeBytes(detail));
}

v1::Command CommandRow(const Trace& trace, const Command& command) {
  v1::Command row;
  row.set_id(command.id);
  row.set_parent_id(command.parent);
  row.set_pid(command.pid);
  for (const std::string& argument : command.argv) row.add_argv(EscapeBytes(argument));
  row.set_executable(EscapeBytes(command.executable));
  row.set_cwd(EscapeBytes(command.cwd));
  row.set_start_ns(SinceStart(trace, command.start_ns));
  if (command.end != v1::END_RUNNING) row.set_end_ns(std::max<int64_t>(1, SinceStart(trace, command.end_ns)));
  switch (command.end) {
    case v1::END_EXIT:
      row.set_exit_status(command.end_value);
      break;
    case v1::END_SIGNAL:
      row.set_signal(command.end_value);
      break;
    case v1::END_EXEC:
      row.set_replaced(true);
      break;
    case v1::END_UNKNOWN:
      row.set_unknown(true);
      break;
    default:
      row.set_running(true);
  }
  row.set_opaque_reason(OpaqueText(command.opaque, command.opaque_detail));
  row.set_forks(command.forks);
  return row;
}

void AddFileLists(const Trace& trace, const Command& command, const Selector& selector, v1::Command* row) {
  std::vector<const Use*> uses;
  uses.reserve(command.uses.size());
  for (const Use& use : command.uses) {
    if (selector.TakesUse(trace, use)) uses.push_back(&use);
  }
  std::sort(uses.begin(), uses.end(),
            [&](const Use* a, const Use* b) { return trace.Path(a->path) < trace.Path(b->path); });
  for (const Use* const use : uses) {
    const std::string path = EscapeBytes(trace.Path(use->path));
    const auto add = [&](bool belongs, Lists* list) {
      if (belongs) *list->Add() = path;
    };
    add(IsRead(*use), row->mutable_reads());
    add(IsWrite(*use), row->mutable_writes());
    add(IsMissing(*use), row->mutable_missing());
    add(IsListed(*use), row->mutable_listed());
    add(IsRemoved(*use), row->mutable_removed());
    add(IsChecked(*use), row->mutable_checked());
  }
}

}  // namespace ocpwatch
