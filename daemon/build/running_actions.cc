#include "daemon/build/running_actions.h"

namespace ocpwatch {

void RunningActions::Ticket::Return() {
  if (actions_ == nullptr) return;
  {
    absl::MutexLock lock(&actions_->mutex_);
    actions_->running_.erase(fingerprint_);
  }
  actions_ = nullptr;
}

void RunningActions::Ticket::SetPid(int32_t pid) {
  if (actions_ == nullptr) return;
  absl::MutexLock lock(&actions_->mutex_);
  actions_->running_[fingerprint_].pid = pid;
}

RunningActions::Ticket RunningActions::Begin(const std::string& fingerprint, Runner runner) {
  Ticket ticket;
  absl::MutexLock lock(&mutex_);
  if (!running_.try_emplace(fingerprint, runner).second) return ticket;
  ticket.actions_ = this;
  ticket.fingerprint_ = fingerprint;
  return ticket;
}

std::optional<int32_t> RunningActions::Elsewhere(const std::string& fingerprint, const void* owner) const {
  absl::MutexLock lock(&mutex_);
  const auto found = running_.find(fingerprint);
  if (found == running_.end() || found->second.owner == owner) return std::nullopt;
  return found->second.pid;
}

}  // namespace ocpwatch
