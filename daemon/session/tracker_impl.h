// The inside of Tracker, for its own files: tracker.cc (events, truth), tracker_files.cc (calls on paths),
// tracker_descriptors.cc, tracker_processes.cc (fork, spawn, exit, wait), tracker_exec.cc. See tracker.h.
#ifndef OCPWATCH_DAEMON_SESSION_TRACKER_IMPL_H_
#define OCPWATCH_DAEMON_SESSION_TRACKER_IMPL_H_

#include <string>
#include <string_view>
#include <vector>

#include "daemon/session/process_table.h"
#include "daemon/session/tracker.h"
#include "ocpwatch/v1/functions.pb.h"

namespace ocpwatch {

// Notes are for people: more than these do not help them, and a hostile program could make any number.
inline constexpr size_t kMaxNotes = 100;
inline constexpr size_t kMaxNoteBytes = 400;
// posix_spawn_file_actions_t that one process may have at once, and actions in each; a shell uses a handful.
inline constexpr size_t kMaxActionObjects = 256;
inline constexpr size_t kMaxActions = 1024;

inline std::vector<std::string> Arguments(const google::protobuf::RepeatedPtrField<std::string>& argv) {
  return {argv.begin(), argv.end()};
}
constexpr uint32_t BitsIf(bool condition, uint32_t bits) { return condition ? bits : 0; }

class Tracker::Impl {
 public:
  Impl(Trace* trace, TrackerObserver* observer) : trace_(*trace), observer_(observer) {}

  void Begin(const v1::SessionHeader& header);
  Applied OnFrame(const v1::Frame& frame);
  void OnDamage(const v1::StreamDamage& damage);
  void OnDecision(const v1::Decision& decision);
  void OnEnd(const v1::SessionEnd& end);
  void Close(absl::FunctionRef<bool(uint32_t)> lives);
  const ProcessTable& processes() const { return processes_; }

 private:
  // A call that is being applied.
  struct Context {
    Process& process;
    uint64_t time_ns;
    Applied& applied;
  };

  // tracker.cc
  // What a call is, by its FunctionId.
  v1::Op OpOf(uint32_t function);
  void Count(uint32_t function);
  void OnBefore(const Context& context, const v1::BeforeCall& call);
  void OnAfter(const Context& context, const v1::AfterCall& call);
  void OnLost(const Context& context, uint64_t frames);
  // Something was not seen; the session is not complete.
  void NoteGap(std::string note);
  void MarkOpaque(CommandId command, v1::OpaqueReason reason, std::string detail);
  void ClearOpaque(CommandId command);
  void SettleTruth();

  // tracker_files.cc: calls on paths.
  // The absolute path of `path` relative to `fd`, or of `fd` itself where there is no path. kNoPath if it is not known.
  PathId Resolve(const Process& process, std::string_view path, int64_t fd);
  // The file's use, or the failed look-up of it.
  // `op` and `flags`: of a call to which it matters what a failure says; see SaysMissing.
  void Use(const Context& context, PathId path, uint32_t kinds, int32_t error, v1::Op op = v1::OP_NONE,
           uint32_t flags = 0);
  void OnFileCall(const Context& context, v1::Op op, const v1::AfterCall& call);
  void OnOpen(const Context& context, const v1::AfterCall& call);
  void OnRename(const Context& context, const v1::AfterCall& call);
  void OnLink(const Context& context, const v1::AfterCall& call);
  void OnTemporary(const Context& context, v1::Op op, const v1::AfterCall& call);
  void OnContent(const Context& context, int64_t fd, uint32_t kind);

  // tracker_descriptors.cc
  void OnDescriptorCall(const Context& context, v1::Op op, const v1::AfterCall& call);
  void OnFileAction(const Context& context, const v1::AfterCall& call);
  // What posix_spawn does in `child` before it executes. Uses count for the child's command of now, its parent's.
  void ApplyFileActions(const Context& child, const std::vector<SpawnAction>& actions);

  // tracker_processes.cc
  void OnProc(const v1::Proc& proc, uint32_t number, uint64_t time_ns, Applied* applied);
  void OnFork(const Context& context, uint32_t child);
  void OnForkResult(const Context& context, const v1::AfterCall& call);
  void OnSpawn(const Context& context, const v1::BeforeCall& call);
  void OnSpawnResult(const Context& context, const v1::AfterCall& call);
  void OnExit(const Context& context, int64_t status);
  void OnWait(const Context& context, int64_t pid, int64_t status);
  // A child of `parent` as it is now; null if `number` cannot be a new child.
  Process* NewChild(Process& parent, uint32_t number);
  // A process of which nothing was heard before.
  Process& Adopt(uint32_t number, uint32_t parent, bool through_opaque, uint64_t time_ns);
  void EndCommand(CommandId command, v1::EndKind kind, int32_t value, uint64_t time_ns);
  void Reap(Process& process);
  // The first process and its command, if nothing was heard of them.
  void EnsureSessionCommand(uint64_t time_ns);

  // tracker_exec.cc
  void OnImage(Process& process, const v1::Proc& proc, uint64_t time_ns);
  void OnExec(const Context& context, const v1::BeforeCall& call);
  void OnExecFailed(const Context& context, const v1::AfterCall& call);
  // Its command is of its own exec, not that of the process it was forked from.
  bool OwnsCommand(const Process& process) const;
  // The process has executed a program: its command of before ends, a new one begins.
  Command& BeginCommand(Process& process, uint64_t time_ns);
  // The command of a program that does not speak for itself.
  CommandId MakeUnseenCommand(Process& process, v1::OpaqueReason reason, std::string detail);
  void TakeBackCommand(Process& process, const PendingExec& pending, int32_t error);
  // The pending exec of `process` has succeeded, and the program has said nothing.
  void SettlePending(Process& process);
  bool IsImageOf(const PendingExec& pending, Process& process, const v1::Proc& proc);
  // Files that the process opened before its exec and that are open after it.
  void UseInherited(Process& process, uint64_t time_ns);

  Trace& trace_;
  TrackerObserver* const observer_;
  ProcessTable processes_;
  std::vector<v1::Op> ops_;  // By FunctionId.
  // Of the header.
  PathId session_cwd_ = kNoPath;
  PathId slash_ = kNoPath;
  std::vector<std::string> session_argv_;
  bool has_gap_ = false;
  std::string resolved_;  // Kept to save an allocation for each call.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_TRACKER_IMPL_H_
