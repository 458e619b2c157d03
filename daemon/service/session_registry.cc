#include "daemon/service/session_registry.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/ingest/ring.h"
#include "daemon/session/append_file.h"
#include "daemon/session/session_header.h"

namespace ocpwatch {
namespace {

// To read the list of 10 000 sessions takes 30 ms. Sessions that get too old may stay for so much longer.
constexpr absl::Duration kLookAgain = absl::Hours(1);

uint64_t NumberOf(const std::string& id) {
  uint64_t number = 0;
  return absl::SimpleAtoi(id, &number) ? number : 0;
}

v1::SessionRecord RowOf(const v1::SessionHeader& header) {
  v1::SessionRecord record;
  record.set_name(header.name());
  record.set_state(v1::SESSION_RUNNING);
  record.set_mode(header.mode());
  *record.mutable_argv() = header.argv();
  record.set_cwd(header.cwd());
  record.set_start_unix_ns(absl::ToUnixNanos(absl::Now()));
  return record;
}

void Warn(const std::string& what, const absl::Status& status) {
  if (!status.ok()) spdlog::warn("{}: {}", what, std::string(status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SessionRegistry>> SessionRegistry::Open(const std::string& state_directory,
                                                                       std::function<void()> on_close) {
  auto index = SessionIndex::Open(state_directory);
  if (!index.ok()) return index.status();
  std::unique_ptr<SessionRegistry> registry(new SessionRegistry(*std::move(index), std::move(on_close)));
  auto records = registry->index_->List();
  if (!records.ok()) return records.status();
  for (const v1::SessionRecord& record : *records) {
    if (!HasEnded(record)) registry->foreign_.insert(record.id());
  }
  return registry;
}

SessionRegistry::SessionRegistry(std::unique_ptr<SessionIndex> index, std::function<void()> on_close)
    : index_(std::move(index)), on_close_(std::move(on_close)), idle_since_(absl::Now()) {}

SessionRegistry::~SessionRegistry() {
  std::map<uint64_t, std::shared_ptr<Session>> live;
  {
    absl::MutexLock lock(&mutex_);
    live.swap(live_);
  }
  live.clear();  // Joins their threads, which may call OnChange: without the mutex.
}

absl::StatusOr<std::shared_ptr<Session>> SessionRegistry::Start(v1::SessionHeader header, const FollowFn& follow) {
  {
    absl::MutexLock lock(&mutex_);
    if (!accepting_) return absl::UnavailableError("this watchd is about to end; try again");
    if (CountRunning() >= kMaxRunningSessions) {
      return absl::ResourceExhaustedError(
          absl::StrCat(kMaxRunningSessions, " sessions run already; `ocp-watch sessions` lists them"));
    }
    starting_++;
  }
  auto session = [&]() -> absl::StatusOr<std::shared_ptr<Session>> {
    v1::SessionRecord record = RowOf(header);
    if (absl::Status status = index_->Insert(&record); !status.ok()) return status;
    header.set_id(record.id());
    SessionOptions options;
    CompleteHeader(&header);
    if (follow != nullptr) options.follower = follow(header);
    options.header = std::move(header);
    options.log_path = record.log();
    options.on_change = [this](const v1::SessionRecord& changed) { OnChange(changed); };
    auto started = Session::Start(std::move(options));
    if (!started.ok()) {
      Warn("the row of a session that could not start", index_->Remove(record.id()).status());
      return started.status();
    }
    return started;
  }();
  absl::MutexLock lock(&mutex_);
  starting_--;
  if (session.ok()) live_[NumberOf((*session)->header().id())] = *session;
  return session;
}

std::shared_ptr<IngestTarget> SessionRegistry::Find(std::string_view token) {
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, session] : live_) {
    if (session->ring().token() == token && !session->closed()) return session;
  }
  return nullptr;
}

std::shared_ptr<Session> SessionRegistry::Refresh(v1::SessionRecord* record) {
  std::shared_ptr<Session> live;
  {
    absl::MutexLock lock(&mutex_);
    if (auto it = live_.find(NumberOf(record->id())); it != live_.end()) live = it->second;
  }
  if (live != nullptr) {
    // An interrupted session is closed like any other; only its row knows better.
    if (!HasEnded(*record)) *record = live->Record();
  } else if (foreign_.contains(record->id())) {
    RefreshForeign(record);
  }
  return live;
}

void SessionRegistry::RefreshForeign(v1::SessionRecord* record) {
  if (HasEnded(*record) || IsBeingWritten(record->log())) return;
  // Its daemon writes the row before it lets go of the log: what stands there now is the last word.
  auto now = index_->Find(record->id());
  if (now.ok()) *record = *std::move(now);
  if (HasEnded(*record)) return;
  record->set_state(v1::SESSION_INTERRUPTED);
  record->set_counted(false);
  Warn("the row of an interrupted session", index_->Update(*record));
}

absl::StatusOr<SessionRegistry::Found> SessionRegistry::Lookup(const std::string& id_or_name) {
  auto record = index_->Find(id_or_name);
  if (absl::IsNotFound(record.status())) {
    return absl::NotFoundError(absl::StrCat(
        std::string(record.status().message()),
        id_or_name.empty() ? "; `ocp-watch record -- COMMAND` makes one" : "; `ocp-watch sessions` lists them"));
  }
  if (!record.ok()) return record.status();
  Found found;
  found.record = *std::move(record);
  found.live = Refresh(&found.record);
  return found;
}

absl::StatusOr<std::shared_ptr<Session>> SessionRegistry::LookupRunning(const std::string& id_or_name) {
  if (!id_or_name.empty()) {
    auto found = Lookup(id_or_name);
    if (!found.ok()) return found.status();
    if (found->live != nullptr && !found->live->closed()) return found->live;
    if (!HasEnded(found->record)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "session ", found->record.id(), " runs in an older watchd, which ends with it; `ocp-watch report ",
          found->record.id(), "` shows it so far"));
    }
    return absl::FailedPreconditionError(absl::StrCat("session ", found->record.id(), " has ended; `ocp-watch report ",
                                                      found->record.id(), "` shows it"));
  }
  absl::MutexLock lock(&mutex_);
  for (auto it = live_.rbegin(); it != live_.rend(); ++it) {
    if (!it->second->closed()) return it->second;
  }
  return absl::NotFoundError("no session runs; `ocp-watch record -- COMMAND` starts one");
}

absl::StatusOr<std::vector<v1::SessionRecord>> SessionRegistry::List(bool running_only) {
  auto records = index_->List();
  if (!records.ok()) return records.status();
  std::vector<v1::SessionRecord> list;
  for (v1::SessionRecord& record : *records) {
    Refresh(&record);
    if (!running_only || !HasEnded(record)) list.push_back(std::move(record));
  }
  return list;
}

absl::StatusOr<uint64_t> SessionRegistry::Remove(const std::string& id) {
  {
    absl::MutexLock lock(&mutex_);
    if (auto it = live_.find(NumberOf(id)); it != live_.end() && !it->second->closed()) {
      return absl::FailedPreconditionError(
          absl::StrCat("session ", id, " still runs; it can be removed when it has ended"));
    }
  }
  return index_->Remove(id);
}

size_t SessionRegistry::running() const {
  absl::MutexLock lock(&mutex_);
  return CountRunning();
}

size_t SessionRegistry::CountRunning() const {
  size_t count = starting_;
  for (const auto& [id, session] : live_) count += session->closed() ? 0 : 1;
  return count;
}

SessionRegistry::Totals SessionRegistry::totals() {
  Totals totals;
  if (auto records = List(false); records.ok()) {
    for (const v1::SessionRecord& record : *records) {
      totals.stored++;
      totals.log_bytes += record.log_bytes();
    }
  }
  absl::MutexLock lock(&mutex_);
  totals.events = closed_events_;
  for (const auto& [id, session] : live_) {
    totals.events += session->Record().events();
  }
  return totals;
}

absl::Time SessionRegistry::idle_since() const {
  if (running() > 0) return absl::Now();
  absl::MutexLock lock(&mutex_);
  return idle_since_;
}

void SessionRegistry::StopAccepting() {
  absl::MutexLock lock(&mutex_);
  accepting_ = false;
}

void SessionRegistry::InterruptAll(const std::string& why) {
  StopAccepting();
  std::map<uint64_t, std::shared_ptr<Session>> live;
  {
    absl::MutexLock lock(&mutex_);
    live = live_;
  }
  for (const auto& [id, session] : live) {
    const bool running = session->Record().state() == v1::SESSION_RUNNING;
    v1::SessionEnd end;
    end.set_unknown(why);
    v1::SessionRecord record = session->Finish(end, /*linger=*/false);
    if (!running) continue;
    record.set_state(v1::SESSION_INTERRUPTED);
    Warn("the row of an interrupted session", index_->Update(record));
  }
}

void SessionRegistry::Reap(const RetentionBounds& bounds) {
  std::vector<std::shared_ptr<Session>> closed;  // Destroyed without the mutex: joins threads.
  uint64_t log_bytes = 0;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = live_.begin(); it != live_.end();) {
      if (!it->second->closed()) {
        ++it;
        continue;
      }
      const v1::SessionRecord record = it->second->Record();
      closed_events_ += record.events();
      log_bytes += record.log_bytes();
      closed.push_back(std::move(it->second));
      it = live_.erase(it);
    }
  }
  if (!MayHaveExpired(bounds, log_bytes)) return;
  auto records = List(false);
  if (!records.ok()) {
    Warn("old sessions cannot be removed", records.status());
    return;
  }
  uint64_t total = 0;
  for (const v1::SessionRecord& record : *records) total += record.log_bytes();
  look_ = {bounds, bounds.max_log_bytes - std::min(total, bounds.max_log_bytes), absl::Now()};
  for (const std::string& id : Expired(*records, bounds, absl::ToUnixNanos(absl::Now()))) {
    spdlog::info("session {} is removed: the configured bounds are reached", id);
    Warn("an old session cannot be removed", index_->Remove(id).status());
  }
}

bool SessionRegistry::MayHaveExpired(const RetentionBounds& bounds, uint64_t more_log_bytes) {
  const bool same = bounds == look_.bounds && absl::Now() - look_.time < kLookAgain;
  if (!same || (bounds.max_log_bytes > 0 && more_log_bytes > look_.room)) return true;
  look_.room -= std::min(more_log_bytes, look_.room);
  return false;
}

void SessionRegistry::OnChange(const v1::SessionRecord& record) {
  Warn(absl::StrCat("the row of session ", record.id()), index_->Update(record));
  if (!HasEnded(record)) return;
  {
    absl::MutexLock lock(&mutex_);
    idle_since_ = absl::Now();
  }
  on_close_();
}

}  // namespace ocpwatch
