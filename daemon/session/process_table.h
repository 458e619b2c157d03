// The processes of a session, as the model knows them. Every number came from a program that may be hostile; a process
// once made is never forgotten (a late frame may still name it), but it gives its tables back when it ends.
#ifndef OCPWATCH_DAEMON_SESSION_PROCESS_TABLE_H_
#define OCPWATCH_DAEMON_SESSION_PROCESS_TABLE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "daemon/session/descriptor_table.h"
#include "daemon/session/trace.h"
#include "ocpwatch/v1/functions.pb.h"
#include "ocpwatch/v1/intercept.pb.h"

namespace ocpwatch {

// One of the things that posix_spawn does in the child.
struct SpawnAction {
  v1::FileAction kind = v1::FILE_ACTION_OTHER;
  int32_t fd = -1;
  int32_t fd2 = -1;
  uint32_t flags = 0;
  std::string path;
};

// An exec or spawn that has been attempted and of which the outcome is not known.
struct PendingExec {
  uint32_t call = 0;  // BeforeCall.id
  uint64_t time_ns = 0;
  PathId path = kNoPath;  // Resolved.
  std::vector<std::string> argv;
  v1::OpaqueReason opaque = v1::OPAQUE_NONE;
  CommandId made = 0;           // The command believed at once, because it is opaque. 0: none yet.
  CommandId previous = 0;       // The command before it.
  bool previous_ended = false;  // By this exec.
  bool spawn = false;
};

struct Process {
  uint32_t number = 0;
  uint32_t rank = 0;  // So many were made before it. Its parent's is less.
  uint32_t parent = 0;
  int32_t pid = 0;  // 0: not known yet.
  int32_t parent_pid = 0;
  CommandId command = 0;  // Its own, or the one it was forked from.
  PathId cwd = kNoPath;
  PathId root = kNoPath;
  uint64_t last_seen_ns = 0;
  int32_t exit_value = 0;
  bool spoke = false;      // A frame of its own has come.
  bool exit_seen = false;  // It called exit; exit_value is set.
  bool ended = false;      // Reaped, or known to be gone.
  DescriptorTable descriptors;
  std::unique_ptr<PendingExec> pending;
  // By the address of the posix_spawn_file_actions_t. Null: none.
  std::unique_ptr<absl::flat_hash_map<uint64_t, std::vector<SpawnAction>>> actions;
};

class ProcessTable {
 public:
  // Null if there is none.
  Process* Find(uint32_t number);
  const Process* Find(uint32_t number) const;
  // Makes one, or returns the one that is there. `number` is not 0.
  Process& Make(uint32_t number);
  void Erase(uint32_t number);

  void SetPid(Process& process, int32_t pid);
  // The newest process of that pid. Pids of another pid namespace can collide with it; then the caller's check of the
  // parent fails and the end stays unknown.
  Process* FindByPid(int32_t pid);

  // In the order of the numbers, so that a replay does everything in the same order.
  std::vector<Process*> InOrder();
  std::vector<const Process*> InOrder() const;
  size_t size() const { return processes_.size(); }
  // With those that were erased.
  uint32_t made() const { return made_; }
  const DescriptorBudget& budget() const { return budget_; }
  DescriptorBudget* mutable_budget() { return &budget_; }

 private:
  DescriptorBudget budget_;  // Before what refers to it.
  absl::flat_hash_map<uint32_t, std::unique_ptr<Process>> processes_;
  absl::flat_hash_map<int32_t, uint32_t> by_pid_;
  uint32_t made_ = 0;
  Process* last_ = nullptr;  // Frames of one process often follow each other.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_PROCESS_TABLE_H_
