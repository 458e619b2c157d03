#include <algorithm>
#include <vector>

#include "daemon/report/rows.h"
#include "daemon/report/selection.h"
#include "daemon/report/views.h"

namespace ocpwatch {
namespace {

constexpr size_t kSlowest = 10;
constexpr size_t kCalls = 12;

// Of a command that runs, up to now.
int64_t Duration(const ReportInput& input, const Command& command) {
  const bool has_ended = command.end != v1::END_RUNNING;
  const int64_t end = has_ended ? SinceStart(input.trace, command.end_ns) : input.session.duration_ns();
  return std::max<int64_t>(0, end - SinceStart(input.trace, command.start_ns));
}

// All the kinds in which any command used a path, by PathId.
std::vector<uint32_t> KindsOfPaths(const Trace& trace) {
  std::vector<uint32_t> kinds(trace.path_count());
  for (const Command& command : trace.commands()) {
    for (const Use& use : command.uses) kinds[use.path] |= use.kinds;
  }
  return kinds;
}

void CountFiles(const Trace& trace, v1::Summary* summary) {
  uint64_t read = 0;
  uint64_t written = 0;
  uint64_t missing = 0;
  uint64_t removed = 0;
  uint64_t listed = 0;
  for (const uint32_t kinds : KindsOfPaths(trace)) {
    const Use all{.kinds = kinds};
    read += IsRead(all);
    written += IsWrite(all);
    missing += IsMissing(all);
    removed += IsRemoved(all);
    listed += IsListed(all);
  }
  summary->set_files_read(read);
  summary->set_files_written(written);
  summary->set_files_missing(missing);
  summary->set_files_removed(removed);
  summary->set_directories_listed(listed);
}

void AddSlowest(const ReportInput& input, v1::Summary* summary) {
  const Trace& trace = input.trace;
  std::vector<const Command*> slowest;
  slowest.reserve(trace.commands().size());
  for (const Command& command : trace.commands()) slowest.push_back(&command);
  const size_t count = std::min(kSlowest, slowest.size());
  std::partial_sort(slowest.begin(), slowest.begin() + static_cast<ptrdiff_t>(count), slowest.end(),
                    [&](const Command* a, const Command* b) {
                      const int64_t a_ns = Duration(input, *a);
                      const int64_t b_ns = Duration(input, *b);
                      return a_ns != b_ns ? a_ns > b_ns : a->id < b->id;
                    });
  for (size_t i = 0; i < count; ++i) *summary->add_slowest() = CommandRow(trace, *slowest[i]);
}

void AddCalls(const ReportInput& input, v1::Summary* summary) {
  const std::vector<uint64_t>& calls = input.trace.calls;
  std::vector<int> functions;
  for (int i = 0; i < input.header.functions_size() && static_cast<size_t>(i) < calls.size(); ++i) {
    if (calls[static_cast<size_t>(i)] != 0) functions.push_back(i);
  }
  const auto count = [&](int function) { return calls[static_cast<size_t>(function)]; };
  std::sort(functions.begin(), functions.end(),
            [&](int a, int b) { return count(a) != count(b) ? count(a) > count(b) : a < b; });
  if (functions.size() > kCalls) functions.resize(kCalls);
  for (const int function : functions) {
    v1::CallCount* const row = summary->add_calls();
    row->set_function(input.header.functions(function));
    row->set_count(count(function));
  }
}

}  // namespace

absl::Status WriteSummary(const ReportInput& input, RowSink* sink) {
  const Trace& trace = input.trace;
  v1::ReportRow row;
  v1::Summary* const summary = row.mutable_summary();
  summary->set_commands(trace.commands().size());
  summary->set_processes(trace.processes);
  summary->set_events(trace.events);
  uint64_t failed = 0;
  uint64_t opaque = 0;
  for (const Command& command : trace.commands()) {
    failed += command.end == v1::END_SIGNAL || (command.end == v1::END_EXIT && command.end_value != 0);
    opaque += command.opaque != v1::OPAQUE_NONE;
  }
  summary->set_failed_commands(failed);
  summary->set_opaque_commands(opaque);
  CountFiles(trace, summary);
  AddSlowest(input, summary);
  AddCalls(input, summary);
  return sink->Write(row) ? absl::OkStatus() : absl::CancelledError();
}

}  // namespace ocpwatch
