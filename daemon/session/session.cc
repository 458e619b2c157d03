#include "daemon/session/session.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/ingest/futex.h"
#include "daemon/session/log_format.h"
#include "daemon/session/log_reader.h"
#include "daemon/session/process_liveness.h"
#include "daemon/session/session_header.h"
#include "daemon/session/session_impl.h"

namespace ocpwatch {

namespace {

// How long Finish waits for what the ring still holds: a full ring takes some 50 ms.
constexpr int64_t kDrainNs = 10'000'000'000;

constexpr absl::Duration kFirstLook = absl::Milliseconds(20);
constexpr absl::Duration kLongestLook = absl::Seconds(1);

}  // namespace

class ABSL_SCOPED_LOCKABLE Session::Impl::QueryLock {
 public:
  explicit QueryLock(Impl* impl) ABSL_EXCLUSIVE_LOCK_FUNCTION(impl->mutex) : impl_(impl) {
    impl_->queries_.fetch_add(1, std::memory_order_relaxed);
    impl_->mutex.Lock();
    impl_->queries_.fetch_sub(1, std::memory_order_relaxed);
  }
  ~QueryLock() ABSL_UNLOCK_FUNCTION() { impl_->mutex.Unlock(); }
  QueryLock(const QueryLock&) = delete;
  QueryLock& operator=(const QueryLock&) = delete;

 private:
  Impl* const impl_;
};

Session::Impl::Impl(SessionOptions given, std::unique_ptr<Ring> its_ring, std::unique_ptr<LogWriter> its_log)
    : options(std::move(given)), ring(std::move(its_ring)), log(std::move(its_log)), tracker_(&trace_, this) {
  tracker_.Begin(options.header);
}

Session::Impl::~Impl() {
  if (linger_.joinable()) linger_.join();
}

void Session::Impl::Listen(IngestTarget& target) {
  absl::MutexLock finishing(&finish_mutex);
  {
    absl::MutexLock lock(&mutex);
    if (ended_) return;
  }
  loop_ = std::make_unique<RingLoop>(target);
  log->Start();
}

void Session::Impl::LetQueriesIn() {
  for (int i = 0; queries_.load(std::memory_order_relaxed) != 0 && i < 1000; ++i) absl::SleepFor(absl::Microseconds(5));
}

void Session::Impl::OnFrame(const v1::Frame& frame, std::string_view bytes) {
  if (queries_.load(std::memory_order_relaxed) != 0) LetQueriesIn();
  {
    absl::MutexLock lock(&mutex);
    if (deaf_) return;
    const Applied applied = tracker_.OnFrame(frame);
    log->AppendFrame(bytes);
    if (options.follower != nullptr) {
      Keep(options.follower->OnFrame(frame, applied, Model()));
      TellGone();
    }
    if (tells_events_) {
      v1::Event event;
      *event.mutable_frame() = frame;
      TellEvent(event, applied);
    }
  }
  log->WaitForRoom();
}

std::optional<v1::Reply> Session::Impl::Decide(const v1::Frame& frame, bool must, EarlyAnswer early) {
  absl::MutexLock lock(&mutex);
  Decisions decisions;
  std::optional<v1::Reply> reply(std::in_place);
  if (!deaf_) reply = options.follower->Decide(frame, must, early, Model(), &decisions);
  if (reply.has_value() && reply->body_case() == v1::Reply::BODY_NOT_SET) reply->mutable_proceed();
  Keep(decisions);
  return reply;
}

bool Session::Impl::OnIdle() {
  if (options.follower == nullptr) return false;
  if (queries_.load(std::memory_order_relaxed) != 0) LetQueriesIn();
  absl::MutexLock lock(&mutex);
  if (deaf_) return false;
  Decisions decisions;
  const bool more = options.follower->OnIdle(Model(), &decisions);
  Keep(decisions);
  return more;
}

FollowedModel Session::Impl::Model() { return {trace_, tracker_, ring->header()}; }

void Session::Impl::Note(const Decisions& decisions) {
  absl::MutexLock lock(&mutex);
  Keep(decisions);
}

void Session::Impl::Keep(const Decisions& decisions) {
  for (const v1::Decision& decision : decisions) {
    v1::Event event;
    *event.mutable_decision() = decision;
    tracker_.Apply(event);
    log->AppendEvent(event);
  }
}

void Session::Impl::TellGone() {
  while (!gone_.empty()) {
    const std::vector<uint32_t> gone = std::exchange(gone_, {});
    for (const uint32_t process : gone) Keep(options.follower->OnProcessGone(process, Model()));
  }
}

void Session::Impl::OnDamage(uint32_t process, std::string_view what, uint64_t frames) {
  v1::Event event;
  v1::StreamDamage& damage = *event.mutable_damage();
  damage.set_process(process);
  damage.set_time_ns(static_cast<uint64_t>(MonotonicNs()));
  damage.set_what(std::string(what));
  damage.set_frames(frames);
  absl::MutexLock lock(&mutex);
  if (deaf_) return;
  tracker_.OnDamage(damage);
  log->AppendEvent(event);
  if (options.follower != nullptr) options.follower->OnDamage(process, Model());
  if (tells_events_) TellEvent(event, {.process = process});
}

v1::SessionRecord Session::Impl::Finish(const v1::SessionEnd& end, bool linger) {
  {
    absl::MutexLock finishing(&finish_mutex);
    bool first = false;
    {
      absl::MutexLock lock(&mutex);
      first = !std::exchange(ended_, true);
      if (!linger) stop_lingering_ = true;
    }
    if (first) {
      if (loop_ != nullptr && !loop_->Flush(kDrainNs)) OnDamage(0, "The ring could not be read to its end.", 0);
      v1::Event event;
      *event.mutable_end() = end;
      if (event.end().time_ns() == 0) event.mutable_end()->set_time_ns(static_cast<uint64_t>(MonotonicNs()));
      bool leave = false;
      {
        absl::MutexLock lock(&mutex);
        tracker_.OnEnd(event.end());
        log->AppendEvent(event);
        if (options.follower != nullptr) {
          TellGone();
          Keep(options.follower->OnSessionEnd(Model()));
        }
        leave = stop_lingering_;
      }
      if (leave || !AnyoneLives()) {
        CloseUp();
      } else {
        SetState(v1::SESSION_LINGERING);
        linger_ = std::thread([this] { Linger(); });
      }
    } else if (!linger && linger_.joinable()) {
      linger_.join();
    }
  }
  return Record();
}

bool Session::Impl::AnyoneLives() {
  std::vector<LiveProcess> processes;
  {
    QueryLock lock(this);
    processes = tracker_.LiveProcesses();
  }
  return std::any_of(processes.begin(), processes.end(), IsAlive);
}

void Session::Impl::Linger() {
  for (absl::Duration wait = kFirstLook;; wait = std::min(wait * 2, kLongestLook)) {
    {
      absl::MutexLock lock(&mutex);
      if (mutex.AwaitWithTimeout(absl::Condition(&stop_lingering_), wait)) break;
    }
    if (!AnyoneLives()) break;
  }
  CloseUp();
}

void Session::Impl::CloseUp() {
  if (loop_ != nullptr) {
    loop_->Stop();
  } else {
    ring->Close();
  }
  {
    absl::MutexLock lock(&mutex);
    deaf_ = true;
    tracker_.Close([](uint32_t) { return false; });
  }
  // Nobody changes the model any more, so it may be read without the mutex while it is written.
  const absl::Status status = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return log->Finish(trace_); }();
  if (!status.ok()) {
    absl::MutexLock lock(&mutex);
    trace_.truth.set_complete(false);
    trace_.truth.add_notes(absl::StrCat("The log ends early: ", std::string(status.message()), "."));
  }
  SetState(v1::SESSION_FINISHED);
}

void Session::Impl::SetState(v1::SessionState state) {
  {
    absl::MutexLock lock(&mutex);
    state_ = state;
  }
  if (options.on_change) options.on_change(Record());
  absl::MutexLock lock(&mutex);
  if (state == v1::SESSION_FINISHED) Tell({.kind = Notification::Kind::kClosed});
}

v1::SessionRecord Session::Impl::Record() {
  v1::SessionRecord record = DescribeHeader(options.header);
  record.set_log(options.log_path);
  record.set_log_bytes(log->bytes());
  const absl::Status log_status = log->status();
  QueryLock lock(this);
  DescribeTrace(trace_, &record);
  record.set_state(state_);
  if (trace_.end.how_case() == v1::SessionEnd::HOW_NOT_SET) {
    record.set_duration_ns(static_cast<int64_t>(static_cast<uint64_t>(MonotonicNs()) - trace_.start_ns));
  }
  if (!log_status.ok() && state_ != v1::SESSION_FINISHED) {
    record.mutable_truth()->set_complete(false);
    record.mutable_truth()->add_notes(absl::StrCat("The log ends early: ", std::string(log_status.message()), "."));
  }
  return record;
}

void Session::Impl::WithTrace(absl::FunctionRef<void(const Trace&)> fn) {
  QueryLock lock(this);
  fn(trace_);
}

bool Session::Impl::ProcessAlive(uint32_t process) {
  LiveProcess live;
  {
    QueryLock lock(this);
    if (!tracker_.FindLive(process, &live)) return false;
  }
  return IsAlive(live);
}

bool Session::Impl::WaitClosed(absl::Duration timeout) {
  const auto is_closed = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { return state_ == v1::SESSION_FINISHED; };
  absl::MutexLock lock(&mutex);
  return mutex.AwaitWithTimeout(absl::Condition(&is_closed), timeout);
}

std::shared_ptr<Subscription> Session::Impl::Subscribe(bool events) {
  auto subscription = std::make_shared<Subscription>(events);
  QueryLock lock(this);
  if (state_ == v1::SESSION_FINISHED) {
    subscription->Push({.kind = Notification::Kind::kClosed});
  } else {
    subscriptions_.push_back(subscription);
    tells_events_ = tells_events_ || events;
  }
  return subscription;
}

void Session::Impl::Tell(Notification notification) {
  if (subscriptions_.empty()) return;
  const bool is_event = notification.kind == Notification::Kind::kEvent;
  bool any_for_events = false;
  std::erase_if(subscriptions_, [&](const std::weak_ptr<Subscription>& weak) {
    const std::shared_ptr<Subscription> subscription = weak.lock();
    if (subscription == nullptr) return true;
    any_for_events = any_for_events || subscription->wants_events();
    if (!is_event || subscription->wants_events()) subscription->Push(notification);
    return false;
  });
  tells_events_ = any_for_events;
}

void Session::Impl::TellEvent(const v1::Event& event, const Applied& applied) {
  Notification notification{.kind = Notification::Kind::kEvent, .command = applied.command};
  notification.event = event;
  notification.applied = applied;
  if (applied.path != kNoPath) notification.path = trace_.Path(applied.path);
  if (applied.path2 != kNoPath) notification.path2 = trace_.Path(applied.path2);
  Tell(std::move(notification));
}

// The tracker calls these while the mutex is held.
void Session::Impl::OnCommandStarted(CommandId command) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (options.follower != nullptr) options.follower->OnCommandStarted(command, Model());
  Tell({.kind = Notification::Kind::kCommandStarted, .command = command});
}

void Session::Impl::OnCommandEnded(CommandId command) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Tell({.kind = Notification::Kind::kCommandEnded, .command = command});
}

void Session::Impl::OnProcessGone(uint32_t process) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (options.follower != nullptr) gone_.push_back(process);
}

absl::StatusOr<std::shared_ptr<Session>> Session::Start(SessionOptions options) {
  CompleteHeader(&options.header);
  RingOptions ring_options;
  const std::string& behaviours = options.header.behaviours();
  ring_options.behaviours = {reinterpret_cast<const unsigned char*>(behaviours.data()), behaviours.size()};
  ring_options.collect_environment = options.header.mode() == v1::MODE_BUILD;
  absl::StatusOr<std::unique_ptr<Ring>> ring = Ring::Create(ring_options);
  if (!ring.ok()) return ring.status();
  absl::StatusOr<std::unique_ptr<AppendFile>> file =
      options.log_file != nullptr ? std::move(options.log_file) : CreateAppendFile(options.log_path);
  if (!file.ok()) return file.status();
  absl::StatusOr<std::unique_ptr<LogWriter>> log = LogWriter::Create(*std::move(file), options.header);
  if (!log.ok()) return log.status();
  auto session = std::shared_ptr<Session>(
      new Session(std::make_unique<Impl>(std::move(options), *std::move(ring), *std::move(log))));
  return session;
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Session::~Session() {
  if (closed()) return;
  v1::SessionEnd end;
  end.set_unknown("The daemon gave the session up.");
  Finish(end, /*linger=*/false);
}

void Session::Listen() { impl_->Listen(*this); }
const v1::SessionHeader& Session::header() const { return impl_->options.header; }
CallDecider& Session::decider() { return impl_->options.follower != nullptr ? *this : IngestTarget::decider(); }
void Session::Note(const Decisions& decisions) { impl_->Note(decisions); }
std::optional<v1::Reply> Session::Decide(const v1::Frame& frame, bool must, EarlyAnswer early) {
  return impl_->Decide(frame, must, early);
}
Ring& Session::ring() { return *impl_->ring; }
void Session::OnFrame(const v1::Frame& frame, std::string_view bytes) { impl_->OnFrame(frame, bytes); }
void Session::OnDamage(uint32_t process, std::string_view what, uint64_t frames) {
  impl_->OnDamage(process, what, frames);
}
bool Session::OnIdle() { return impl_->OnIdle(); }
v1::SessionRecord Session::Finish(const v1::SessionEnd& end, bool linger) { return impl_->Finish(end, linger); }
bool Session::closed() const { return impl_->WaitClosed(absl::ZeroDuration()); }
bool Session::WaitClosed(absl::Duration timeout) const { return impl_->WaitClosed(timeout); }
v1::SessionRecord Session::Record() const { return impl_->Record(); }
void Session::WithTrace(absl::FunctionRef<void(const Trace&)> fn) const { impl_->WithTrace(fn); }
void Session::FlushLog() { impl_->log->Flush(); }
std::shared_ptr<Subscription> Session::Subscribe(bool events) { return impl_->Subscribe(events); }
bool Session::ProcessAlive(uint32_t process) const { return impl_->ProcessAlive(process); }

}  // namespace ocpwatch
