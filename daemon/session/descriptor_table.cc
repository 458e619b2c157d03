#include "daemon/session/descriptor_table.h"

#include <limits>

namespace ocpwatch {

namespace {

constexpr int64_t kMaxFd = std::numeric_limits<int32_t>::max();

bool IsPossible(int64_t fd) { return fd >= 0 && fd <= kMaxFd; }

}  // namespace

DescriptorTable::Map::~Map() {
  if (budget != nullptr) budget->entries -= entries.size();
}

DescriptorTable::Map& DescriptorTable::Own() {
  if (map_ == nullptr) {
    map_ = std::make_shared<Map>(budget_);
  } else if (map_.use_count() > 1) {
    auto copy = std::make_shared<Map>(budget_);
    if (budget_ != nullptr && budget_->entries + map_->entries.size() > DescriptorBudget::kMaxEntries) {
      budget_->exceeded = true;  // The copy begins empty.
    } else {
      copy->entries = map_->entries;
      if (budget_ != nullptr) budget_->entries += copy->entries.size();
    }
    map_ = std::move(copy);
  }
  return *map_;
}

const Descriptor* DescriptorTable::Find(int64_t fd) const {
  if (map_ == nullptr || !IsPossible(fd)) return nullptr;
  const auto found = map_->entries.find(static_cast<int32_t>(fd));
  return found == map_->entries.end() ? nullptr : &found->second;
}

void DescriptorTable::Set(int64_t fd, const Descriptor& descriptor) {
  if (!IsPossible(fd)) return;
  const Descriptor value = descriptor;  // It may live in the map that is about to be replaced.
  Map& map = Own();
  if (budget_ != nullptr && budget_->entries >= DescriptorBudget::kMaxEntries &&
      !map.entries.contains(static_cast<int32_t>(fd))) {
    budget_->exceeded = true;
    return;
  }
  const bool is_new = map.entries.insert_or_assign(static_cast<int32_t>(fd), value).second;
  if (is_new && budget_ != nullptr) ++budget_->entries;
}

void DescriptorTable::Close(int64_t fd) {
  if (Find(fd) == nullptr) return;
  Own().entries.erase(static_cast<int32_t>(fd));
  if (budget_ != nullptr && budget_->entries > 0) --budget_->entries;
}

void DescriptorTable::CloseRange(uint32_t first, uint32_t last) {
  if (map_ == nullptr || first > last || first > kMaxFd) return;
  auto& entries = Own().entries;
  const size_t before = entries.size();
  const auto from = entries.lower_bound(static_cast<int32_t>(first));
  const auto to = last >= kMaxFd ? entries.end() : entries.upper_bound(static_cast<int32_t>(last));
  entries.erase(from, to);
  if (budget_ != nullptr) budget_->entries -= before - entries.size();
}

void DescriptorTable::SetCloseOnExec(int64_t fd, bool close_on_exec) {
  const Descriptor* const found = Find(fd);
  if (found == nullptr || found->close_on_exec == close_on_exec) return;
  auto& entries = Own().entries;
  if (const auto mine = entries.find(static_cast<int32_t>(fd)); mine != entries.end()) {
    mine->second.close_on_exec = close_on_exec;
  }
}

void DescriptorTable::SetCloseOnExecRange(uint32_t first, uint32_t last) {
  if (map_ == nullptr || first > last || first > kMaxFd) return;
  for (auto& [fd, descriptor] : Own().entries) {
    const auto number = static_cast<uint32_t>(fd);
    if (number >= first && number <= last) descriptor.close_on_exec = true;
  }
}

void DescriptorTable::Duplicate(int64_t from, int64_t to, bool close_on_exec) {
  if (from == to || !IsPossible(to)) return;
  const Descriptor* const found = Find(from);
  if (found == nullptr) {
    Close(to);
    return;
  }
  Descriptor copy = *found;
  copy.close_on_exec = close_on_exec;
  Set(to, copy);
}

void DescriptorTable::DropCloseOnExec() {
  if (map_ == nullptr) return;
  bool any = false;
  for (const auto& [fd, descriptor] : map_->entries) any = any || descriptor.close_on_exec;
  if (!any) return;
  auto& entries = Own().entries;
  const size_t before = entries.size();
  absl::erase_if(entries, [](const auto& entry) { return entry.second.close_on_exec; });
  if (budget_ != nullptr) budget_->entries -= before - entries.size();
}

}  // namespace ocpwatch
