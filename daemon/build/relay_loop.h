// The inside of Relay, for its own files: relay.cc (the thread, and what is asked of it) and relay_flow.cc (the bytes).
#ifndef OCPWATCH_DAEMON_BUILD_RELAY_LOOP_H_
#define OCPWATCH_DAEMON_BUILD_RELAY_LOOP_H_

#include <sys/epoll.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/build/outside_target.h"
#include "daemon/build/pool_end.h"
#include "daemon/build/recording.h"
#include "daemon/build/relay.h"

namespace ocpwatch {

// What stands in a pipe, at most: /proc/sys/fs/pipe-max-size. A writer that never stops is not read for ever.
inline constexpr size_t kForcedRead = size_t{1} << 20;

// All of it: the streams, the thread, and what they share. Kept by the Relay and by the thread.
class Relay::Loop : public std::enable_shared_from_this<Relay::Loop> {
 public:
  Loop(Pool pool, std::string directory, ClosePipeFn close_pipe);
  void Start();
  // Of ~Relay.
  void Disconnect();
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

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_RELAY_LOOP_H_
