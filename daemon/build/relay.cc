#include "daemon/build/relay.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "daemon/build/relay_loop.h"

namespace ocpwatch {
namespace {

// One stream's turn in the thread: a pipe full.
constexpr size_t kTurn = size_t{64} << 10;
// Taken out of epoll at a time; the lock is held for each by itself.
constexpr int kEvents = 32;

// What an epoll event is about: the thread's own eventfd, a stream's id, or a target's number with this bit.
constexpr uint64_t kWake = 0;
constexpr uint64_t kTargetBit = uint64_t{1} << 32;

}  // namespace

Relay::Loop::Loop(Pool pool, std::string directory, ClosePipeFn close_pipe)
    : client_(std::move(pool.client)),
      directory_(std::move(directory)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      close_pipe_(std::move(close_pipe)) {
  for (Pool::Pipe& pipe : pool.pipes) {
    ends_.push_back(std::make_unique<PoolEnd>(std::move(pipe), pool.client_pid));
    free_pipes_.push_back(ends_.back().get());
  }
  for (Pool::Terminal& terminal : pool.terminals) {
    ends_.push_back(std::make_unique<PoolEnd>(std::move(terminal)));
    free_terminals_.push_back(ends_.back().get());
  }
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = kWake;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
}

void Relay::Loop::Start() {
  thread_ = std::thread([self = shared_from_this()] { self->Run(); });
}

void Relay::Loop::Wake() { eventfd_write(wake_.get(), 1); }

void Relay::Loop::Disconnect() {
  absl::MutexLock lock(&callback_mutex_);
  close_pipe_ = nullptr;
}

void Relay::Loop::Close() {
  Disconnect();
  bool done = false;
  {
    absl::MutexLock lock(&mutex_);
    DrainAll();
    for (const auto& [id, node] : nodes_) {
      node->finished = true;
      node->dropped = true;
      if (!node->taken) Release(node.get());
    }
    to_sweep_ = true;
    Sweep();
    closing_ = true;
    done = nodes_.empty() && NothingPending();
  }
  Wake();
  if (done) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

void Relay::Loop::Run() {
  std::array<epoll_event, kEvents> events;
  while (true) {
    const int count = epoll_wait(epoll_.get(), events.data(), kEvents, -1);
    for (int i = 0; i < count; ++i) {
      absl::MutexLock lock(&mutex_);
      Handle(events[static_cast<size_t>(i)]);
      Sweep();
    }
    std::vector<int32_t> to_close;
    {
      absl::MutexLock lock(&mutex_);
      to_close.swap(to_close_);
      if (closing_ && nodes_.empty() && NothingPending()) return;
    }
    if (to_close.empty()) continue;
    absl::MutexLock lock(&callback_mutex_);
    for (const int32_t number : to_close) {
      if (close_pipe_) close_pipe_(number);
    }
  }
}

void Relay::Loop::Handle(const epoll_event& event) {
  const uint64_t about = event.data.u64;
  if (about == kWake) {
    uint64_t count = 0;
    if (read(wake_.get(), &count, sizeof count) < 0) return;
  } else if ((about & kTargetBit) != 0) {
    for (const auto& [place, target] : targets_) {
      if (target->number != about) continue;
      target->out->Flush();
      Settle(target.get());
      return;  // Settle may have removed it.
    }
  } else if (const auto found = nodes_.find(static_cast<uint32_t>(about)); found != nodes_.end()) {
    Node* const node = found->second.get();
    if (node->end == nullptr) return;  // An event of the same turn has ended it.
    const size_t room = node->target->out->Room();
    if (room > 0) {
      Drain(node, std::min(kTurn, room), false);
    } else {
      Block(node->target.get(), true);
    }
  }
}

absl::StatusOr<Relay::Stream> Relay::Loop::Open(int32_t pid, int32_t fd) {
  const std::string original = absl::StrCat("/proc/", pid, "/fd/", fd);
  const absl::StatusOr<Place> place = Place::Of(original);
  if (!place.ok()) return place.status();
  absl::MutexLock lock(&mutex_);
  absl::StatusOr<Stream> stream;
  if (const auto found = in_use_.find(*place); found != in_use_.end()) {
    Node* const parent = found->second;
    Drain(parent, kForcedRead, true);
    stream = OpenBelow(parent, parent->target);
  } else if (absl::StatusOr<std::shared_ptr<Target>> target = TargetAt(*place, pid, fd); !target.ok()) {
    stream = target.status();
  } else {
    for (const auto& [id, node] : nodes_) {
      if (node->parent == nullptr && node->target == *target) Drain(node.get(), kForcedRead, true);
    }
    stream = OpenBelow(nullptr, *target);
  }
  Sweep();
  return stream;
}

absl::StatusOr<std::shared_ptr<Relay::Loop::Target>> Relay::Loop::TargetAt(const Place& place, int32_t pid,
                                                                           int32_t fd) {
  if (const auto found = targets_.find(place); found != targets_.end()) return found->second;
  absl::StatusOr<std::unique_ptr<OutsideTarget>> out = OutsideTarget::Open(pid, fd, place);
  if (!out.ok()) return out.status();
  auto target = std::make_shared<Target>();
  target->number = ++last_target_ | kTargetBit;
  target->out = *std::move(out);
  targets_[place] = target;
  to_sweep_ = true;  // If no stream comes to lead there.
  return target;
}

PoolEnd* Relay::Loop::FreeEnd(bool terminal) {
  std::deque<PoolEnd*>& free = terminal ? free_terminals_ : free_pipes_;
  if (free.empty() && !terminal) {
    for (const auto& end : ends_) {
      if (!end->usable() && end->Renew(client_)) free.push_back(end.get());
    }
  }
  if (free.empty()) return nullptr;
  PoolEnd* const end = free.front();
  free.pop_front();
  return end;
}

absl::StatusOr<Relay::Stream> Relay::Loop::OpenBelow(Node* parent, const std::shared_ptr<Target>& target) {
  if (target->out == nullptr) return absl::FailedPreconditionError("nobody reads there any more");
  if (parent != nullptr && target->out->pending() >= kMaxPending) {
    return absl::ResourceExhaustedError("what the outputs lead to takes nothing");
  }
  PoolEnd* const end = FreeEnd(target->out->terminal());
  if (end == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("all ", ends_.size(), " pipes and terminals are in use"));
  }
  const uint32_t id = ++last_id_;
  end->Begin(parent != nullptr ? parent->end->fd() : target->out->fd(), target->out->fd(),
             {id, parent != nullptr ? parent->id : 0});
  Node* const node = (nodes_[id] = std::make_unique<Node>(id, directory_)).get();
  node->end = end;
  node->parent = parent;
  node->target = target;
  ++target->streams;
  if (parent != nullptr) parent->children.push_back(node);
  in_use_[end->place()] = node;
  if (!target->blocked) Watch(node, true);
  return Stream{id, end->path(), end->terminal()};
}

Relay::Recorded Relay::Loop::Finish(uint32_t id, absl::Duration patience) {
  absl::MutexLock lock(&mutex_);
  Recorded recorded;
  const auto found = nodes_.find(id);
  if (found == nodes_.end() || found->second->finished) return recorded;
  Node* const node = found->second.get();
  Drain(node, kForcedRead, true);
  Sweep();
  if (node->taken && !EndedBelow(node) && patience > absl::ZeroDuration()) {
    const auto ended = [node] { return EndedBelow(node); };
    mutex_.AwaitWithTimeout(absl::Condition(&ended), patience);
    Drain(node, kForcedRead, true);  // A stream whose target is blocked is not read by the thread.
  }
  recorded.taken = node->taken;
  recorded.ended = EndedBelow(node);
  recorded.whole = node->record.whole() && !node->cut && !node->dropped;
  recorded.size = node->record.size();
  recorded.bytes = node->record.TakeBytes();
  recorded.file = node->record.TakeFile();
  node->finished = true;
  node->dropped = true;
  if (!node->taken) Release(node);
  to_sweep_ = true;
  Sweep();
  return recorded;
}

void Relay::Loop::DropRecord(uint32_t id) {
  absl::MutexLock lock(&mutex_);
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return;
  found->second->dropped = true;
  found->second->record.GiveUp();
}

bool Relay::Loop::WaitForwarded(absl::Duration bound) {
  absl::MutexLock lock(&mutex_);
  DrainAll();
  Sweep();
  return mutex_.AwaitWithTimeout(absl::Condition(this, &Loop::NothingPending), bound);
}

size_t Relay::Loop::open() const {
  absl::MutexLock lock(&mutex_);
  return in_use_.size();
}

Relay::Relay(Pool pool, std::string directory, ClosePipeFn close_pipe)
    : loop_(std::make_shared<Loop>(std::move(pool), std::move(directory), std::move(close_pipe))) {
  loop_->Start();
}

Relay::~Relay() { loop_->Close(); }

void Relay::Disconnect() { loop_->Disconnect(); }

absl::StatusOr<Relay::Stream> Relay::Open(int32_t pid, int32_t fd) { return loop_->Open(pid, fd); }

Relay::Recorded Relay::Finish(uint32_t id, absl::Duration patience) { return loop_->Finish(id, patience); }

void Relay::Cancel(uint32_t id) { loop_->Finish(id, absl::ZeroDuration()); }

void Relay::DropRecord(uint32_t id) { loop_->DropRecord(id); }

bool Relay::WaitForwarded(absl::Duration bound) { return loop_->WaitForwarded(bound); }

size_t Relay::open() const { return loop_->open(); }

}  // namespace ocpwatch
