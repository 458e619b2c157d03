#include "daemon/build/write_intents.h"

#include <algorithm>

namespace ocpwatch {

WriteIntents::Session WriteIntents::Join() {
  absl::MutexLock lock(&mutex_);
  joined_[next_] = now_;
  return next_++;
}

void WriteIntents::Leave(Session session) {
  absl::MutexLock lock(&mutex_);
  joined_.erase(session);
  if (joined_.empty()) {
    intents_.clear();
    counts_.clear();
    total_ = 0;
    return;
  }
  // Who has joined since the last change of a path will never ask about a moment before it.
  Moment oldest = now_;
  for (const auto& [other, since] : joined_) oldest = std::min(oldest, since);
  ++now_;
  for (auto path = intents_.begin(); path != intents_.end();) {
    std::vector<Intent>& intents = path->second;
    const auto is_past = [&](Intent& intent) {
      if (intent.session == session && intent.open > 0) {
        intent.open = 0;
        intent.last = now_;
      }
      const bool past = intent.open == 0 && intent.last <= oldest;
      if (past && --counts_[intent.session] == 0) counts_.erase(intent.session);
      if (past) --total_;
      return past;
    };
    intents.erase(std::remove_if(intents.begin(), intents.end(), is_past), intents.end());
    const auto here = path++;
    if (intents.empty()) intents_.erase(here);
  }
}

WriteIntents::Moment WriteIntents::Now() const {
  absl::MutexLock lock(&mutex_);
  return now_;
}

void WriteIntents::Begin(Session session, const std::string& path) {
  absl::MutexLock lock(&mutex_);
  std::vector<Intent>& intents = intents_[path];
  auto intent = std::find_if(intents.begin(), intents.end(), [&](const Intent& one) { return one.session == session; });
  if (intent == intents.end()) {
    intent = intents.insert(intents.end(), Intent{session});
    ++counts_[session];
    ++total_;
  }
  intent->last = ++now_;
  ++intent->open;
}

void WriteIntents::End(Session session, const std::string& path) {
  absl::MutexLock lock(&mutex_);
  const auto found = intents_.find(path);
  if (found == intents_.end()) return;
  for (Intent& intent : found->second) {
    if (intent.session != session || intent.open == 0) continue;
    --intent.open;
    intent.last = ++now_;
  }
}

bool WriteIntents::AnyOthers(Session session) const {
  absl::MutexLock lock(&mutex_);
  const auto own = counts_.find(session);
  return total_ > (own == counts_.end() ? 0 : own->second);
}

bool WriteIntents::ByOthers(Session session, const std::string& path, Moment since) const {
  absl::MutexLock lock(&mutex_);
  const auto found = intents_.find(path);
  return found != intents_.end() && std::any_of(found->second.begin(), found->second.end(), [&](const Intent& intent) {
           return intent.session != session && (intent.open > 0 || intent.last > since);
         });
}

size_t WriteIntents::size() const {
  absl::MutexLock lock(&mutex_);
  return total_;
}

}  // namespace ocpwatch
