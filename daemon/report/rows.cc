#include "daemon/report/rows.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/report/escape.h"
#include "daemon/session/truth.h"

namespace ocpwatch {
namespace {

// Of a hostile log; far enough from the end of int64_t that times can be added.
constexpr uint64_t kLongestNs = std::numeric_limits<int64_t>::max() / 4;

using Lists = google::protobuf::RepeatedPtrField<std::string>;

}  // namespace

int64_t SinceStart(uint64_t start_ns, uint64_t time_ns) {
  if (time_ns <= start_ns) return 0;
  return static_cast<int64_t>(std::min<uint64_t>(time_ns - start_ns, kLongestNs));
}

std::string OpaqueText(v1::OpaqueReason reason, const std::string& detail) {
  std::string text = OpaqueReasonText(reason);
  if (reason != v1::OPAQUE_NONE && text.empty()) text = "not observed in full";  // A newer daemon's log.
  if (!text.empty() && !detail.empty()) absl::StrAppend(&text, ": ", EscapeBytes(detail));
  return text;
}

v1::Command CommandRow(uint64_t start_ns, const Command& command) {
  v1::Command row;
  row.set_id(command.id);
  row.set_parent_id(command.parent);
  row.set_pid(command.pid);
  for (const std::string& argument : command.argv) row.add_argv(EscapeBytes(argument));
  row.set_executable(EscapeBytes(command.executable));
  row.set_cwd(EscapeBytes(command.cwd));
  row.set_start_ns(SinceStart(start_ns, command.start_ns));
  if (command.end != v1::END_RUNNING) row.set_end_ns(std::max<int64_t>(1, SinceStart(start_ns, command.end_ns)));
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

PathOrder::PathOrder(const Trace& trace) : rank_(trace.path_count()) {
  std::vector<PathId> sorted(trace.path_count());
  std::iota(sorted.begin(), sorted.end(), PathId{0});
  std::sort(sorted.begin(), sorted.end(), [&](PathId a, PathId b) { return trace.Path(a) < trace.Path(b); });
  for (size_t i = 0; i < sorted.size(); ++i) rank_[sorted[i]] = static_cast<uint32_t>(i);
}

void AddFileLists(const Trace& trace, const Command& command, const Selector& selector, const PathOrder* order,
                  v1::Command* row) {
  std::vector<const Use*> uses;
  uses.reserve(command.uses.size());
  for (const Use& use : command.uses) {
    if (selector.TakesUse(trace, use)) uses.push_back(&use);
  }
  std::sort(uses.begin(), uses.end(), [&](const Use* a, const Use* b) {
    return order != nullptr ? order->Rank(a->path) < order->Rank(b->path) : trace.Path(a->path) < trace.Path(b->path);
  });
  for (const Use* const use : uses) {
    const auto add = [&](bool belongs, Lists* list) {
      if (belongs) EscapeBytes(trace.Path(use->path), list->Add());
    };
    add(IsRead(*use), row->mutable_reads());
    add(IsWrite(*use), row->mutable_writes());
    add(IsMissing(*use), row->mutable_missing());
    add(IsListed(*use), row->mutable_listed());
    add(IsRemoved(*use), row->mutable_removed());
    add(IsChecked(*use), row->mutable_checked());
  }
}

void AddFileLists(const Trace& trace, const Command& command, const Selector& selector, v1::Command* row) {
  AddFileLists(trace, command, selector, nullptr, row);
}

}  // namespace ocpwatch
