#include "daemon/session/subscription.h"

#include <utility>

namespace ocpwatch {

namespace {

size_t SizeOf(const Notification& notification) {
  return sizeof(notification) + notification.event.ByteSizeLong() + notification.path.size() +
         notification.path2.size();
}

}  // namespace

std::optional<Notification> Subscription::Next(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  const auto has_one = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !queue_.empty(); };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&has_one), timeout)) return std::nullopt;
  Notification notification = std::move(queue_.front());
  queue_.pop_front();
  queued_bytes_ -= SizeOf(notification);
  return notification;
}

uint64_t Subscription::TakeMissed() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(missed_, 0);
}

void Subscription::Push(Notification notification) {
  const size_t bytes = SizeOf(notification);
  absl::MutexLock lock(&mutex_);
  // The end is always told.
  if (notification.kind != Notification::Kind::kClosed &&
      (queue_.size() >= kMaxQueued || queued_bytes_ + bytes > kMaxQueuedBytes)) {
    ++missed_;
    return;
  }
  queued_bytes_ += bytes;
  queue_.push_back(std::move(notification));
}

}  // namespace ocpwatch
