#include "daemon/session/process_table.h"

#include <algorithm>

namespace ocpwatch {

Process* ProcessTable::Find(uint32_t number) {
  if (last_ != nullptr && last_->number == number) return last_;
  const auto found = processes_.find(number);
  if (found == processes_.end()) return nullptr;
  last_ = found->second.get();
  return last_;
}

const Process* ProcessTable::Find(uint32_t number) const {
  const auto found = processes_.find(number);
  return found == processes_.end() ? nullptr : found->second.get();
}

Process& ProcessTable::Make(uint32_t number) {
  std::unique_ptr<Process>& process = processes_[number];
  if (process == nullptr) {
    process = std::make_unique<Process>();
    process->number = number;
    process->rank = made_++;
    process->descriptors = DescriptorTable(&budget_);
  }
  return *process;
}

void ProcessTable::Erase(uint32_t number) {
  const auto found = processes_.find(number);
  if (found == processes_.end()) return;
  if (const auto pid = by_pid_.find(found->second->pid); pid != by_pid_.end() && pid->second == number) {
    by_pid_.erase(pid);
  }
  if (last_ == found->second.get()) last_ = nullptr;
  processes_.erase(found);
}

void ProcessTable::SetPid(Process& process, int32_t pid) {
  if (pid <= 0) return;
  process.pid = pid;
  by_pid_[pid] = process.number;
}

Process* ProcessTable::FindByPid(int32_t pid) {
  const auto found = by_pid_.find(pid);
  return found == by_pid_.end() ? nullptr : Find(found->second);
}

std::vector<Process*> ProcessTable::InOrder() {
  std::vector<Process*> all;
  all.reserve(processes_.size());
  for (const auto& [number, process] : processes_) all.push_back(process.get());
  std::sort(all.begin(), all.end(), [](const Process* a, const Process* b) { return a->number < b->number; });
  return all;
}

std::vector<const Process*> ProcessTable::InOrder() const {
  std::vector<const Process*> all;
  all.reserve(processes_.size());
  for (const auto& [number, process] : processes_) all.push_back(process.get());
  std::sort(all.begin(), all.end(), [](const Process* a, const Process* b) { return a->number < b->number; });
  return all;
}

}  // namespace ocpwatch
