#include "daemon/build/relay.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "daemon/build/outside_target.h"
#include "daemon/build/pool_end.h"
#include "daemon/build/recording.h"

namespace ocpwatch {
namespace {

// One stream's turn in the thread: a pipe full.
constexpr size_t kTurn = size_t{64} << 10;
// What stands in a pipe, at most: /proc/sys/fs/pipe-max-size. A writer that never stops is not read for ever.
constexpr size_t kForced = size_t{1} << 20;
// Taken out of epoll at a time; the lock is held for each by itself.
constexpr int kEvents = 32;

// What an epoll event is about: the thread's own eventfd, a stream's id, or a target's number with this bit.
constexpr uint64_t kWake = 0;
constexpr uint64_t kTargetBit = uint64_t{1} << 32;

}  // namespace

// All of it: the streams, the thread, and what they share. Kept by the Relay and by the thread.
class Relay::Loop : public std::enable_shared_from_this<Relay::Loop> {
 public:
  Loop(Pool pool, std::string directory, ClosePipeFn close_pipe);
  void Start();
  // Of ~Relay.
  void Close();

  absl::StatusOr<Stream> Open(int32_t pid, int32_t fd) ABSL_LOCKS_EXCLUDED(mutex_);
  Recorded Finish(uint32_t id, absl::Duration patience) ABSL_LOCKS_EXCLUDED(mutex_);
  void DropRecord(uint32_t id) ABSL_LOCKS_EXCLUDED(mutex_);
  bool WaitForwarded(absl::Duration bound) ABSL_LOCKS_EXCLUDED(mutex_);
  size_t open() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Target {
    uint64_t number = 0;
    std::unique_ptr<OutsideTarget> out;  // Null once it has been closed.
    int streams = 0;                     // That lead there and may still bring something.
    bool armed = false;                  // Waited for until it takes something.
    bool blocked = false;                // Its streams are not read.
  };
  struct Node {
    Node(uint32_t number, std::string directory) : id(number), record(std::move(directory)) {}
    const uint32_t id;
    PoolEnd* end = nullptr;  // Null once nobody writes any more.
    Node* parent = nullptr;
    std::shared_ptr<Target> target;
    std::vector<Node*> children;  // In the order of their Open.
    Recording record;
    bool watched = false;
    bool taken = false;
    bool cut = false;  // Its target has died.
    bool dropped = false;
    bool finished = false;
  };

  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  void Handle(const epoll_event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Wake();

  absl::StatusOr<std::shared_ptr<Target>> TargetAt(const Place& place, int32_t pid, int32_t fd)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  PoolEnd* FreeEnd(bool terminal) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Stream> OpenBelow(Node* parent, const std::shared_ptr<Target>& target)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Reads `node`. `below`: also its streams, whether or not it has brought anything.
  void Drain(Node* node, size_t bound, bool below) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Deliver(Node* node, std::string_view bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Nobody writes to it any more: its place in the pool is free.
  void Release(Node* node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static bool EndedBelow(const Node* node);
  void Watch(Node* node, bool wanted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // After each change of what waits for `target`.
  void Settle(Target* target) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Its streams are not read until it takes something.
  void Block(Target* target, bool blocked) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Arm(Target* target, bool wanted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Cut(Target* target) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // At the end of each operation: closes targets to which nothing leads any more, removes nodes that nobody needs.
  void Sweep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool NothingPending() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DrainAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const UniqueFd client_;
  const std::string directory_;
  const UniqueFd epoll_;
  const UniqueFd wake_;
  std::thread thread_;

  mutable absl::Mutex mutex_;
  std::vector<std::unique_ptr<PoolEnd>> ends_ ABSL_GUARDED_BY(mutex_);
  std::deque<PoolEnd*> free_pipes_ ABSL_GUARDED_BY(mutex_);  // The one that has been free the longest comes first.
  std::deque<PoolEnd*> free_terminals_ ABSL_GUARDED_BY(mutex_);
  std::map<uint32_t, std::unique_ptr<Node>> nodes_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Place, Node*> in_use_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Place, std::shared_ptr<Target>> targets_ ABSL_GUARDED_BY(mutex_);
  uint32_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t last_target_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool to_sweep_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<int32_t> to_close_ ABSL_GUARDED_BY(mutex_);

  absl::Mutex callback_mutex_;  // Before mutex_.
  ClosePipeFn close_pipe_ ABSL_GUARDED_BY(callback_mutex_);
};

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

void Relay::Loop::Close() {
  {
    absl::MutexLock lock(&callback_mutex_);
    close_pipe_ = nullptr;
  }
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
    Drain(parent, kForced, true);
    stream = OpenBelow(parent, parent->target);
  } else if (absl::StatusOr<std::shared_ptr<Target>> target = TargetAt(*place, pid, fd); !target.ok()) {
    stream = target.status();
  } else {
    for (const auto& [id, node] : nodes_) {
      if (node->parent == nullptr && node->target == *target) Drain(node.get(), kForced, true);
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

void Relay::Loop::Drain(Node* node, size_t bound, bool below) {
  std::string bytes;
  auto state = PoolEnd::State::kEnded;
  if (node->end != nullptr) {
    state = node->end->Read(bound, &bytes);
    node->taken = node->end->taken();
  }
  // What stands in the children's now has been written before these bytes if it has anything to do with them. To read
  // the children first would leave a gap in which one writes, ends, and its parent writes.
  if (below || !bytes.empty()) {
    for (Node* const child : node->children) Drain(child, kForced, below);
  }
  if (!bytes.empty()) Deliver(node, bytes);
  if (node->end != nullptr && state == PoolEnd::State::kEnded) Release(node);
}

void Relay::Loop::Deliver(Node* node, std::string_view bytes) {
  for (Node* each = node; each != nullptr; each = each->parent) {
    if (!each->dropped) each->record.Append(bytes);
  }
  if (node->target->out == nullptr) return;
  node->target->out->Write(bytes);
  Settle(node->target.get());
}

void Relay::Loop::Release(Node* node) {
  PoolEnd* const end = node->end;
  if (end == nullptr) return;
  Watch(node, false);
  in_use_.erase(end->place());
  end->End();
  (end->terminal() ? free_terminals_ : free_pipes_).push_back(end);
  node->end = nullptr;
  --node->target->streams;
  to_sweep_ = true;
}

void Relay::Loop::Watch(Node* node, bool wanted) {
  if (node->watched == wanted || node->end == nullptr) return;
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = node->id;
  epoll_ctl(epoll_.get(), wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, node->end->poll_fd(), &event);
  node->watched = wanted;
}

void Relay::Loop::Settle(Target* target) {
  if (target->out->dead()) {
    Cut(target);
    return;
  }
  if (target->out->pending() == 0) to_sweep_ = true;
  Block(target, target->out->pending() > 0);
}

void Relay::Loop::Block(Target* target, bool blocked) {
  if (blocked == target->blocked) return;
  target->blocked = blocked;
  Arm(target, blocked);
  for (const auto& [id, node] : nodes_) {
    if (node->target.get() == target) Watch(node.get(), !blocked);
  }
}

void Relay::Loop::Arm(Target* target, bool wanted) {
  if (target->armed == wanted) return;
  epoll_event event = {};
  event.events = EPOLLOUT;
  event.data.u64 = target->number;
  epoll_ctl(epoll_.get(), wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, target->out->fd(), &event);
  target->armed = wanted;
}

void Relay::Loop::Cut(Target* target) {
  Arm(target, false);
  for (const auto& [id, node] : nodes_) {
    if (node->target.get() != target || node->end == nullptr) continue;
    Watch(node.get(), false);
    in_use_.erase(node->end->place());
    to_close_.push_back(node->end->number());
    node->end->Close();
    node->end = nullptr;
    node->cut = true;
    --target->streams;
  }
  const Place place = target->out->place();
  target->out.reset();
  targets_.erase(place);  // The nodes keep it.
  to_sweep_ = true;
  Wake();
}

bool Relay::Loop::EndedBelow(const Node* node) {
  return node->end == nullptr && std::all_of(node->children.begin(), node->children.end(), EndedBelow);
}

Relay::Recorded Relay::Loop::Finish(uint32_t id, absl::Duration patience) {
  absl::MutexLock lock(&mutex_);
  Recorded recorded;
  const auto found = nodes_.find(id);
  if (found == nodes_.end() || found->second->finished) return recorded;
  Node* const node = found->second.get();
  Drain(node, kForced, true);
  Sweep();
  if (node->taken && !EndedBelow(node) && patience > absl::ZeroDuration()) {
    const auto ended = [node] { return EndedBelow(node); };
    mutex_.AwaitWithTimeout(absl::Condition(&ended), patience);
    Drain(node, kForced, true);  // A stream whose target is blocked is not read by the thread.
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

void Relay::Loop::Sweep() {
  if (!to_sweep_) return;
  to_sweep_ = false;
  for (auto node = nodes_.begin(); node != nodes_.end();) {
    Node* const gone = node->second.get();
    if (!gone->finished || gone->end != nullptr) {
      ++node;
      continue;
    }
    Node* const parent = gone->parent;
    if (parent != nullptr) std::erase(parent->children, gone);
    for (Node* const child : gone->children) {
      child->parent = parent;
      if (parent != nullptr) parent->children.push_back(child);
    }
    node = nodes_.erase(node);
  }
  for (auto target = targets_.begin(); target != targets_.end();) {
    const auto each = target++;
    if (each->second->streams > 0 || each->second->out->pending() > 0) continue;
    Arm(each->second.get(), false);
    each->second->out.reset();
    targets_.erase(each);
  }
}

bool Relay::Loop::NothingPending() const {
  return std::all_of(targets_.begin(), targets_.end(),
                     [](const auto& target) { return target.second->out->pending() == 0; });
}

void Relay::Loop::DrainAll() {
  for (const auto& [id, node] : nodes_) {
    if (node->parent == nullptr) Drain(node.get(), kForced, true);
  }
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

absl::StatusOr<Relay::Stream> Relay::Open(int32_t pid, int32_t fd) { return loop_->Open(pid, fd); }

Relay::Recorded Relay::Finish(uint32_t id, absl::Duration patience) { return loop_->Finish(id, patience); }

void Relay::Cancel(uint32_t id) { loop_->Finish(id, absl::ZeroDuration()); }

void Relay::DropRecord(uint32_t id) { loop_->DropRecord(id); }

bool Relay::WaitForwarded(absl::Duration bound) { return loop_->WaitForwarded(bound); }

size_t Relay::open() const { return loop_->open(); }

}  // namespace ocpwatch
