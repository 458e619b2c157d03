#include "daemon/session/trace.h"

#include <utility>

namespace ocpwatch {

namespace {

uint64_t UseKey(CommandId command, PathId path) { return uint64_t{command} << 32 | path; }

}  // namespace

PathId Trace::Intern(std::string_view path) {
  if (const auto found = path_ids_.find(path); found != path_ids_.end()) return found->second;
  const auto id = static_cast<PathId>(paths_.size());
  const std::string& kept = paths_.emplace_back(path);
  path_bytes_ += kept.capacity();
  path_ids_.emplace(kept, id);
  return id;
}

void Trace::AddUse(CommandId command, PathId path, uint32_t kinds, uint64_t time_ns, int32_t error) {
  Command* const owner = Find(command);
  if (owner == nullptr || path >= paths_.size()) return;
  const auto [found, is_new] = use_index_.try_emplace(UseKey(command, path), static_cast<uint32_t>(owner->uses.size()));
  if (is_new) {
    owner->uses.push_back({.path = path, .kinds = kinds, .count = 1, .error = error, .first_ns = time_ns});
    return;
  }
  Use& use = owner->uses[found->second];
  use.kinds |= kinds;
  if (use.count != UINT32_MAX) ++use.count;
  if (error != 0) use.error = error;
}

void Trace::RestoreUse(CommandId command, const Use& use) {
  Command* const owner = Find(command);
  if (owner == nullptr || command != commands_.size() || use.path >= paths_.size()) return;
  if (restored_for_.size() < paths_.size()) restored_for_.resize(paths_.size());
  if (std::exchange(restored_for_[use.path], command) != command) owner->uses.push_back(use);
}

Command& Trace::NewCommand() {
  Command& command = commands_.emplace_back();
  command.id = static_cast<CommandId>(commands_.size());
  return command;
}

bool Trace::DropNewest(CommandId id) {
  if (id == 0 || id != commands_.size()) return false;
  for (const Use& use : commands_.back().uses) use_index_.erase(UseKey(id, use.path));
  commands_.pop_back();
  return true;
}

Command* Trace::Find(CommandId id) { return id == 0 || id > commands_.size() ? nullptr : &commands_[id - 1]; }

const Command* Trace::Find(CommandId id) const {
  return id == 0 || id > commands_.size() ? nullptr : &commands_[id - 1];
}

size_t Trace::MemoryUse() const {
  size_t bytes = path_bytes_ + paths_.size() * sizeof(std::string);
  // A flat_hash_map holds a slot and a control byte for each place of its capacity.
  bytes += path_ids_.capacity() * (sizeof(std::pair<std::string_view, PathId>) + 1);
  bytes += restored_for_.capacity() * sizeof(CommandId);
  bytes += use_index_.capacity() * (sizeof(std::pair<uint64_t, uint32_t>) + 1);
  for (const Command& command : commands_) {
    bytes += sizeof(Command) + command.uses.capacity() * sizeof(Use) + command.executable.capacity() +
             command.cwd.capacity();
    for (const std::string& argument : command.argv) bytes += sizeof(std::string) + argument.capacity();
  }
  return bytes;
}

}  // namespace ocpwatch
