#include "daemon/service/daemon.h"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/ingest/runtime_directory.h"
#include "daemon/service/behaviours.h"
#include "daemon/service/configuration.h"
#include "daemon/service/daemon_log.h"
#include "daemon/service/lock_file.h"
#include "daemon/service/preload_library.h"
#include "daemon/service/probe.h"
#include "ocpwatch/v1/version.h"

namespace ocpwatch {
namespace {

// A daemon that is ending, or handing over, needs this long at most to let go of its locks.
constexpr absl::Duration kLockPatience = absl::Seconds(3);
constexpr absl::Duration kLockRetry = absl::Milliseconds(20);
// Calls under way when the daemon ends may still say their last row.
constexpr std::chrono::milliseconds kCallGrace(500);
constexpr std::chrono::milliseconds kProbeTimeout(5000);
// Shutdown's answer waits so long for the hand-over.
constexpr absl::Duration kHandOverPatience = absl::Seconds(5);

std::string Message(const absl::Status& status) { return std::string(status.message()); }

template <typename Take>
auto WithPatience(Take take) -> decltype(take()) {
  const absl::Time give_up = absl::Now() + kLockPatience;
  for (;;) {
    auto taken = take();
    if (!absl::IsAlreadyExists(taken.status()) || absl::Now() > give_up) return taken;
    absl::SleepFor(kLockRetry);
  }
}

void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Of the whole process: threads started later inherit it.
UniqueFd TakeSignals() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return UniqueFd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

}  // namespace

Daemon::Daemon(DaemonOptions options) : options_(std::move(options)), notifier_(options_.ready_fd) {}

Daemon::~Daemon() { Stop(); }

absl::Status Daemon::Start() {
  absl::Status status = Prepare();
  if (status.ok()) status = Listen();
  if (!status.ok()) {
    notifier_.Failed(Message(status));
    return status;
  }
  if (notifier_.alive_interval().count() > 0) next_ping_ = absl::Now();
  notifier_.Ready();
  spdlog::info("watchd {} ({}) is ready: sockets in {}, state in {}", kVersion, kBuildId, runtime_directory_,
               state_->path());
  return absl::OkStatus();
}

absl::Status Daemon::Prepare() {
  // Debian's Abseil looks for deadlocks at each lock, under a lock of its own: 67 ns for a lock and unlock, 126 where
  // two threads do so with a mutex each; without that 21 and 36. The unit tests leave it on.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  RaiseDescriptorLimit();
  umask(077);  // Logs tell what a user works on.
  signals_ = TakeSignals();
  wake_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!signals_.valid() || !wake_.valid()) return absl::ResourceExhaustedError("no descriptors are left");
  auto sockets = TakeActivatedSockets();
  if (!sockets.ok()) return sockets.status();
  sockets_ = *std::move(sockets);
  if (absl::Status status = ApplyConfiguration(/*first=*/true); !status.ok()) return status;

  auto runtime = RuntimeDirectory();
  if (!runtime.ok()) return runtime.status();
  runtime_directory_ = *std::move(runtime);
  auto lock = WithPatience([&] { return LockFile(runtime_directory_ + "/watchd.lock"); });
  if (absl::IsAlreadyExists(lock.status())) {
    return absl::AlreadyExistsError(absl::StrCat(Message(lock.status()), " already listens in ", runtime_directory_,
                                                 "; `ocp-watch status` shows it, `ocp-watch stop` ends it"));
  }
  if (!lock.ok()) return lock.status();
  runtime_lock_ = *std::move(lock);

  std::string path = options_.state_directory;
  if (path.empty()) path = configuration_.state_directory();
  if (path.empty()) path = StateDirectory::DefaultPath(runtime_directory_);
  auto state = WithPatience([&] { return StateDirectory::Open(path); });
  if (!state.ok()) return state.status();
  state_ = *std::move(state);
  return options_.foreground ? absl::OkStatus() : LogToFile(state_->path() + "/watchd.log");
}

absl::Status Daemon::Listen() {
  std::error_code ignored;
  auto preload =
      FindPreloadLibrary(options_.preload, std::filesystem::read_symlink("/proc/self/exe", ignored).string());
  if (!preload.ok()) return preload.status();
  // Recording does not need it.
  if (auto store = Store::Open(state_->path() + "/store"); store.ok()) {
    store_ = *std::move(store);
    for (const std::string& note : store_->notes()) spdlog::warn("{}", note);
  } else {
    spdlog::error("no builds: {}", Message(store.status()));
  }
  care_ = std::make_unique<StoreCare>(store_.get());
  auto registry = SessionRegistry::Open(state_->path(), [this] { eventfd_write(wake_.get(), 1); });
  if (!registry.ok()) return registry.status();
  registry_ = *std::move(registry);
  for (const std::string& note : registry_->notes()) spdlog::warn("{}", note);

  DaemonFacts facts;
  facts.preload = *std::move(preload);
  facts.state_directory = state_->path();
  facts.runtime_directory = runtime_directory_;
  facts.started_by = sockets_.activated || getenv("NOTIFY_SOCKET") != nullptr ? "systemd"
                     : options_.ready_fd >= 0                                 ? "client"
                                                                              : "foreground";
  if (!sockets_.activated) {
    sockets_.intercept_path = runtime_directory_ + "/intercept.sock";
    auto intercept = ListenUnix(sockets_.intercept_path);
    if (!intercept.ok()) return intercept.status();
    auto control = ListenUnix(runtime_directory_ + "/control.sock");
    if (!control.ok()) return control.status();
    owns_socket_files_ = true;
    sockets_.intercept = *std::move(intercept);
    sockets_.control = *std::move(control);
  }
  facts.intercept_socket = sockets_.intercept_path;
  auto intercept = InterceptServer::Start(std::move(sockets_.intercept), *registry_);
  if (!intercept.ok()) return intercept.status();
  intercept_ = *std::move(intercept);

  service_ = std::make_unique<MonitorService>(registry_.get(), store_.get(), std::move(facts),
                                              [this](bool drain) { return RequestShutdown(drain); });
  service_->SetConfiguration(configuration_);
  auto control = ControlServer::Start(std::move(sockets_.control), {service_.get()}, kMaxCalls);
  if (!control.ok()) return control.status();
  control_ = *std::move(control);
  registry_->Reap(BoundsOf(configuration_));
  return absl::OkStatus();
}

absl::Status Daemon::ApplyConfiguration(bool first) {
  auto loaded = LoadConfiguration(ConfigurationPath());
  if (!loaded.ok()) return loaded.status();
  std::string behaviours = DefaultBehaviours(v1::MODE_RECORD);
  if (absl::Status status = ChangeBehaviours(loaded->calls(), &behaviours); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(ConfigurationPath(), ": calls: ", Message(status)));
  }
  configuration_ = *std::move(loaded);
  uint32_t seconds = kDefaultIdleExitSeconds;
  if (sockets_.activated) {
    seconds = kDefaultActivatedIdleExitSeconds;
  } else if (options_.foreground) {
    seconds = 0;
  }
  if (configuration_.has_idle_exit_seconds()) seconds = configuration_.idle_exit_seconds();
  idle_exit_ = absl::Seconds(options_.idle_exit_seconds.value_or(seconds));
  if (!first) service_->SetConfiguration(configuration_);
  return absl::OkStatus();
}

void Daemon::Run() {
  for (bool end = false; !end;) {
    pollfd fds[2] = {{signals_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    if (poll(fds, 2, PollTimeoutMs()) < 0) continue;  // EINTR
    if (fds[0].revents != 0) HandleSignals(&end);
    uint64_t count;
    if (fds[1].revents != 0 && read(wake_.get(), &count, sizeof count) > 0) {
      registry_->Reap(BoundsOf(configuration_));
      care_->OnSessionEnd(StoreLimitsOf(configuration_));
    }
    bool shutdown;
    {
      absl::MutexLock lock(&mutex_);
      shutdown = shutdown_requested_;
    }
    if (shutdown && registry_->running() > 0) HandOver();
    if (shutdown && registry_->running() == 0) end = true;
    if (IdleForTooLong()) {
      spdlog::info("nothing to do for {} s: the daemon ends; the next client starts it again",
                   absl::ToInt64Seconds(idle_exit_));
      end = true;
    }
    if (absl::Now() >= next_ping_ && !end) PingWatchdog();
  }
  Stop();
}

void Daemon::HandleSignals(bool* end) {
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGHUP) {
      spdlog::info("{} from pid {}: the daemon ends", strsignal(static_cast<int>(info.ssi_signo)), info.ssi_pid);
      *end = true;
      continue;
    }
    if (absl::Status status = ApplyConfiguration(/*first=*/false); status.ok()) {
      spdlog::info("the configuration has been read again");
    } else {
      spdlog::error("the configuration stays as it was: {}", Message(status));
    }
  }
}

absl::Status Daemon::RequestShutdown(bool drain) {
  const size_t running = registry_->running();
  if (running > 0 && drain && sockets_.activated) {
    return absl::FailedPreconditionError(
        absl::StrCat(running, running == 1 ? " session runs" : " sessions run",
                     ", and systemd holds the sockets of this watchd: it can be replaced when they have ended"));
  }
  registry_->StopAccepting();
  absl::MutexLock lock(&mutex_);
  shutdown_requested_ = true;
  eventfd_write(wake_.get(), 1);
  // The successor is to find the way free when the answer is there. Without sessions the end itself frees it.
  if (running > 0) mutex_.AwaitWithTimeout(absl::Condition(&handed_over_), kHandOverPatience);
  return absl::OkStatus();
}

void Daemon::HandOver() {
  {
    absl::MutexLock lock(&mutex_);
    if (handed_over_) return;
  }
  spdlog::info("handed over; sessions that go on here: {}", registry_->running());
  notifier_.Status("draining");
  control_->StopListening();
  RemoveSockets();
  state_->Unlock();
  runtime_lock_.reset();
  absl::MutexLock lock(&mutex_);
  handed_over_ = true;
}

// Before the runtime lock is let go of: afterwards they may be the successor's.
void Daemon::RemoveSockets() {
  if (!std::exchange(owns_socket_files_, false)) return;
  unlink((runtime_directory_ + "/control.sock").c_str());
  unlink((runtime_directory_ + "/intercept.sock").c_str());
}

void Daemon::PingWatchdog() {
  if (control_->Healthy(kProbeTimeout) && AnswersOnSocket(sockets_.intercept_path, kProbeTimeout)) {
    notifier_.Alive();
  } else {
    spdlog::error("a thread of the daemon does not answer");
  }
  next_ping_ = absl::Now() + absl::FromChrono(notifier_.alive_interval());
}

bool Daemon::IdleForTooLong() const {
  if (idle_exit_ == absl::ZeroDuration() || registry_->running() > 0) return false;
  return absl::Now() - std::max(registry_->idle_since(), service_->last_call()) >= idle_exit_;
}

int Daemon::PollTimeoutMs() const {
  absl::Time next = next_ping_;
  if (idle_exit_ > absl::ZeroDuration() && registry_->running() == 0) {
    next = std::min(next, std::max(registry_->idle_since(), service_->last_call()) + idle_exit_);
  }
  if (next == absl::InfiniteFuture()) return -1;
  const int64_t ms = absl::ToInt64Milliseconds(next - absl::Now()) + 1;
  return static_cast<int>(std::clamp<int64_t>(ms, 0, INT_MAX));
}

void Daemon::Stop() {
  if (state_.has_value() && registry_ != nullptr) {
    notifier_.Stopping();
    registry_->InterruptAll("watchd was stopped");
  }
  if (control_ != nullptr) control_->Shutdown(kCallGrace);
  control_.reset();
  service_.reset();
  intercept_.reset();
  registry_.reset();
  care_.reset();
  RemoveSockets();
  state_.reset();
  runtime_lock_.reset();
}

}  // namespace ocpwatch
