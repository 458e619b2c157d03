#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "daemon/report/rows.h"
#include "daemon/report/views.h"
#include "daemon/session/stored_model.h"

namespace ocpwatch {
namespace {

constexpr size_t kCalls = 12;

void AddCalls(const v1::SessionTotals& totals, const v1::SessionHeader& header, v1::Summary* summary) {
  const auto& calls = totals.calls();
  // More than one function may have a name.
  absl::btree_map<std::string, uint64_t> counts;
  for (int i = 0; i < header.functions_size() && i < calls.size(); ++i) {
    if (calls[i] != 0) counts[header.functions(i)] += calls[i];
  }
  std::vector<std::pair<std::string, uint64_t>> functions(counts.begin(), counts.end());
  std::stable_sort(functions.begin(), functions.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  if (functions.size() > kCalls) functions.resize(kCalls);
  for (const auto& [function, count] : functions) {
    v1::CallCount* const row = summary->add_calls();
    row->set_function(function);
    row->set_count(count);
  }
}

}  // namespace

absl::Status WriteSummary(const v1::SessionTotals& totals, const v1::SessionHeader& header, RowSink* sink) {
  v1::ReportRow row;
  v1::Summary* const summary = row.mutable_summary();
  summary->set_commands(totals.record().commands());
  summary->set_processes(totals.record().processes());
  summary->set_events(totals.record().events());
  summary->set_failed_commands(totals.failed_commands());
  summary->set_opaque_commands(totals.opaque_commands());
  summary->set_files_read(totals.files_read());
  summary->set_files_written(totals.files_written());
  summary->set_files_missing(totals.files_missing());
  summary->set_files_removed(totals.files_removed());
  summary->set_directories_listed(totals.directories_listed());
  for (const v1::StoredCommand& stored : totals.slowest()) {
    Command command;
    command.id = stored.id();
    LoadHead(stored, &command);
    *summary->add_slowest() = CommandRow(header.start_ns(), command);
  }
  AddCalls(totals, header, summary);
  return sink->Write(row) ? absl::OkStatus() : absl::CancelledError();
}

}  // namespace ocpwatch
