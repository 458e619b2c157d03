#include "daemon/session/stored_model.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace ocpwatch {

namespace {

// A use is about 12 bytes stored; a command is cut after so many, so that no part grows far beyond kPartBytes.
constexpr size_t kUsesInPart = 16384;

void StoreUse(const Use& use, v1::StoredUse* stored) {
  stored->set_path(use.path);
  stored->set_kinds(use.kinds);
  stored->set_count(use.count);
  stored->set_first_ns(use.first_ns);
  stored->set_error(use.error);
}

}  // namespace

void StoreHead(const Command& command, v1::StoredCommand* stored) {
  stored->set_id(command.id);
  stored->set_parent_id(command.parent);
  stored->set_pid(command.pid);
  for (const std::string& argument : command.argv) stored->add_argv(argument);
  stored->set_executable(command.executable);
  stored->set_cwd(command.cwd);
  stored->set_start_ns(command.start_ns);
  stored->set_end_ns(command.end_ns);
  stored->set_end_kind(command.end);
  stored->set_end_value(command.end_value);
  stored->set_opaque_reason(command.opaque);
  stored->set_opaque_detail(command.opaque_detail);
  stored->set_process(command.process);
  stored->set_forks(command.forks);
  if (command.decision != nullptr) *stored->mutable_decision() = *command.decision;
  if (command.kept != nullptr) *stored->mutable_kept() = *command.kept;
}

void LoadHead(const v1::StoredCommand& stored, Command* command) {
  command->parent = stored.parent_id();
  command->pid = stored.pid();
  command->argv.assign(stored.argv().begin(), stored.argv().end());
  command->executable = stored.executable();
  command->cwd = stored.cwd();
  command->start_ns = stored.start_ns();
  command->end_ns = stored.end_ns();
  command->end = stored.end_kind();
  command->end_value = stored.end_value();
  command->opaque = stored.opaque_reason();
  command->opaque_detail = stored.opaque_detail();
  command->process = stored.process();
  command->forks = stored.forks();
  if (stored.has_decision()) command->decision = std::make_shared<const v1::Decision>(stored.decision());
  if (stored.has_kept()) command->kept = std::make_shared<const v1::Decision>(stored.kept());
}

absl::Status StoreModel(const Trace& trace, absl::FunctionRef<absl::Status(const v1::StoredModel&)> part) {
  v1::StoredModel model;
  *model.mutable_truth() = trace.truth;
  if (trace.end.how_case() != v1::SessionEnd::HOW_NOT_SET) *model.mutable_end() = trace.end;
  model.set_events(trace.events);
  model.set_processes(trace.processes);
  model.mutable_calls()->Add(trace.calls.begin(), trace.calls.end());
  size_t bytes = 0;
  const auto flush_if_large = [&](size_t added) {
    bytes += added;
    if (bytes < kPartBytes) return absl::OkStatus();
    absl::Status status = part(model);
    model.Clear();
    bytes = 0;
    return status;
  };
  for (size_t id = 0; id < trace.path_count(); ++id) {
    const std::string& path = trace.Path(static_cast<PathId>(id));
    model.add_paths(path);
    if (absl::Status status = flush_if_large(path.size() + 3); !status.ok()) return status;
  }
  for (const Command& command : trace.commands()) {
    for (size_t from = 0; from == 0 || from < command.uses.size(); from += kUsesInPart) {
      v1::StoredCommand* const stored = model.add_commands();
      stored->set_id(command.id);
      if (from == 0) StoreHead(command, stored);
      const size_t to = std::min(command.uses.size(), from + kUsesInPart);
      for (size_t i = from; i < to; ++i) StoreUse(command.uses[i], stored->add_uses());
      if (absl::Status status = flush_if_large(stored->ByteSizeLong()); !status.ok()) return status;
    }
  }
  return part(model);
}

v1::StoredModel StoreModel(const Trace& trace) {
  v1::StoredModel whole;
  StoreModel(trace, [&](const v1::StoredModel& part) {
    whole.MergeFrom(part);
    return absl::OkStatus();
  }).IgnoreError();
  return whole;
}

absl::Status LoadModelPart(const v1::StoredModel& part, Trace* trace) {
  for (const std::string& path : part.paths()) {
    const size_t expected = trace->path_count();
    if (trace->Intern(path) != expected) return absl::DataLossError("the summary has a path twice");
  }
  for (const v1::StoredCommand& stored : part.commands()) {
    const size_t known = trace->commands().size();
    if (stored.id() == 0 || stored.id() < known || stored.id() > known + 1)
      return absl::DataLossError("the summary's commands are in disorder");
    if (stored.id() == known + 1) {
      if (stored.parent_id() >= stored.id()) return absl::DataLossError("the summary has a command before its parent");
      LoadHead(stored, &trace->NewCommand());
    }
    std::vector<Use>& uses = trace->Find(stored.id())->uses;
    // Where a command goes on, the vector's own growth copies less.
    if (uses.empty()) uses.reserve(static_cast<size_t>(stored.uses_size()));
    for (const v1::StoredUse& use : stored.uses()) {
      if (use.path() >= trace->path_count())
        return absl::DataLossError("the summary uses a path that it does not have");
      trace->RestoreUse(stored.id(), {.path = use.path(),
                                      .kinds = use.kinds(),
                                      .count = use.count(),
                                      .error = use.error(),
                                      .first_ns = use.first_ns()});
    }
  }
  if (part.has_truth()) trace->truth = part.truth();
  if (part.has_end()) trace->end = part.end();
  if (part.events() != 0) trace->events = part.events();
  if (part.processes() != 0) trace->processes = part.processes();
  if (part.calls_size() != 0) trace->calls.assign(part.calls().begin(), part.calls().end());
  return absl::OkStatus();
}

}  // namespace ocpwatch
