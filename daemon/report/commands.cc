#include <optional>
#include <utility>
#include <vector>

#include "daemon/report/rows.h"
#include "daemon/report/selection.h"
#include "daemon/report/views.h"

namespace ocpwatch {
namespace {

struct Place {
  const Command* command;
  uint32_t depth;
  bool taken;
};

// A command's id is greater than its parent's, so ids in order meet parents first, and in reverse order children first.

std::vector<Place> ById(const Trace& trace, const Selector& selector) {
  std::vector<Place> places;
  std::vector<uint32_t> depths(trace.commands().size() + 1);
  for (const Command& command : trace.commands()) {
    if (command.parent != 0 && command.parent < command.id) depths[command.id] = depths[command.parent] + 1;
    if (selector.TakesCommand(trace, command)) places.push_back({&command, depths[command.id], true});
  }
  return places;
}

std::vector<Place> ByTree(const Trace& trace, const Selector& selector) {
  const size_t count = trace.commands().size();
  std::vector<std::vector<CommandId>> children(count + 1);
  std::vector<bool> taken(count + 1);
  std::vector<bool> leads_to_taken(count + 1);
  const auto parent_of = [&](CommandId id) {
    const CommandId parent = trace.Find(id)->parent;
    return parent < id ? parent : 0;
  };
  for (CommandId id = 1; id <= count; ++id) {
    children[parent_of(id)].push_back(id);
    taken[id] = selector.TakesCommand(trace, *trace.Find(id));
  }
  for (auto id = static_cast<CommandId>(count); id > 0; --id) {
    if (taken[id] || leads_to_taken[id]) leads_to_taken[parent_of(id)] = leads_to_taken[id] = true;
  }
  std::vector<Place> places;
  std::vector<std::pair<CommandId, uint32_t>> stack;
  const auto push_children = [&](CommandId id, uint32_t depth) {
    for (auto child = children[id].rbegin(); child != children[id].rend(); ++child) {
      if (leads_to_taken[*child]) stack.emplace_back(*child, depth);
    }
  };
  push_children(0, 0);
  while (!stack.empty()) {
    const auto [id, depth] = stack.back();
    stack.pop_back();
    places.push_back({trace.Find(id), depth, taken[id]});
    push_children(id, depth + 1);
  }
  return places;
}

}  // namespace

absl::Status WriteCommands(const ReportInput& input, const v1::Selection& selection, CommandOrder order,
                           bool with_files, RowSink* sink) {
  const Trace& trace = input.trace;
  const Selector selector(selection);
  const std::vector<Place> places = order == CommandOrder::kTree ? ByTree(trace, selector) : ById(trace, selector);
  std::optional<PathOrder> path_order;
  if (with_files) path_order.emplace(trace);
  RowLimit limit(selection.limit());
  v1::ReportRow row;
  for (const Place& place : places) {
    if (!limit.Take()) continue;
    // One row for all: its lists keep their strings from command to command.
    row.mutable_command()->CopyFrom(CommandRow(trace, *place.command));
    row.mutable_command()->set_depth(place.depth);
    if (with_files && place.taken) {
      AddFileLists(trace, *place.command, selector, &*path_order, row.mutable_command());
    }
    if (!sink->Write(row)) return absl::CancelledError();
  }
  if (limit.left_out() == 0) return absl::OkStatus();
  row.set_left_out(limit.left_out());
  return sink->Write(row) ? absl::OkStatus() : absl::CancelledError();
}

}  // namespace ocpwatch
