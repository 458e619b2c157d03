#include "daemon/session/totals.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "daemon/session/stored_model.h"

namespace ocpwatch {

namespace {

// All the kinds in which any command used a path, by PathId.
std::vector<uint32_t> KindsOfPaths(const Trace& trace) {
  std::vector<uint32_t> kinds(trace.path_count());
  for (const Command& command : trace.commands()) {
    for (const Use& use : command.uses) kinds[use.path] |= use.kinds;
  }
  return kinds;
}

void CountFiles(const Trace& trace, v1::SessionTotals* totals) {
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
  totals->set_files_read(read);
  totals->set_files_written(written);
  totals->set_files_missing(missing);
  totals->set_files_removed(removed);
  totals->set_directories_listed(listed);
}

void AddSlowest(const Trace& trace, uint64_t now_ns, v1::SessionTotals* totals) {
  const auto duration = [&](const Command& command) {
    const uint64_t start_ns = std::max(command.start_ns, trace.start_ns);
    const uint64_t end_ns = command.end == v1::END_RUNNING ? now_ns : command.end_ns;
    return end_ns > start_ns ? end_ns - start_ns : 0;
  };
  std::vector<const Command*> slowest;
  slowest.reserve(trace.commands().size());
  for (const Command& command : trace.commands()) slowest.push_back(&command);
  const size_t count = std::min(kSlowestCommands, slowest.size());
  std::partial_sort(slowest.begin(), slowest.begin() + static_cast<ptrdiff_t>(count), slowest.end(),
                    [&](const Command* a, const Command* b) {
                      const uint64_t a_ns = duration(*a);
                      const uint64_t b_ns = duration(*b);
                      return a_ns != b_ns ? a_ns > b_ns : a->id < b->id;
                    });
  for (size_t i = 0; i < count; ++i) StoreHead(*slowest[i], totals->add_slowest());
}

}  // namespace

v1::SessionTotals MakeTotals(const Trace& trace, int64_t running_ns) {
  v1::SessionTotals totals;
  DescribeTrace(trace, totals.mutable_record());
  uint64_t failed = 0;
  uint64_t opaque = 0;
  for (const Command& command : trace.commands()) {
    failed += command.end == v1::END_SIGNAL || (command.end == v1::END_EXIT && command.end_value != 0);
    opaque += command.opaque != v1::OPAQUE_NONE;
  }
  totals.set_failed_commands(failed);
  totals.set_opaque_commands(opaque);
  CountFiles(trace, &totals);
  if (running_ns <= 0) running_ns = totals.record().duration_ns();
  AddSlowest(trace, trace.start_ns + static_cast<uint64_t>(running_ns), &totals);
  totals.mutable_calls()->Add(trace.calls.begin(), trace.calls.end());
  return totals;
}

void DescribeTotals(const v1::SessionTotals& totals, v1::SessionRecord* record) {
  const v1::SessionRecord& told = totals.record();
  record->set_counted(true);
  record->set_events(told.events());
  record->set_processes(told.processes());
  record->set_commands(told.commands());
  record->set_duration_ns(told.duration_ns());
  if (told.has_end()) *record->mutable_end() = told.end();
  *record->mutable_truth() = told.truth();
}

absl::StatusOr<LoadedTotals> LoadTotals(const std::string& path) {
  LoadedTotals loaded;
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(path);
  if (!reader.ok()) return reader.status();
  if ((*reader)->ReadTotals(&loaded.totals).ok()) {
    loaded.header = (*reader)->header();
    loaded.record = DescribeHeader(loaded.header);
    DescribeTotals(loaded.totals, &loaded.record);
    loaded.record.set_state(v1::SESSION_FINISHED);
    loaded.record.set_log(path);
    loaded.record.set_log_bytes((*reader)->file_bytes());
    return loaded;
  }
  const absl::StatusOr<std::unique_ptr<LoadedLog>> log = LoadLog(path);
  if (!log.ok()) return log.status();
  loaded.header = (*log)->header;
  loaded.totals = MakeTotals((*log)->trace);
  loaded.record = MakeRecord(**log, path);
  return loaded;
}

}  // namespace ocpwatch
