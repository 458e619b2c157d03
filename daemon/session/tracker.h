// The model: turns events, one after the other, into a Trace. The same code live and from a log.
//
// It keeps what the kernel keeps of each process as far as paths need it (working directory, root, descriptors) and
// what a command is (one exec in a process). It knows a call by its Op, never by its name; ops and names come with the
// session's header, so that an old log is read by the table it was written with.
//
// Rules that are not plain from the call itself:
//  - A command begins with an exec and ends with its process or with that process's next exec (END_EXEC). Forked
//    children that execute nothing belong to the command they were forked from, and may outlive it.
//  - The parent of a command is the command that its process belonged to before the exec.
//  - How a process ended: the last exit it called, unless its parent's wait tells of a signal. Of the session's first
//    process SessionEnd tells.
//  - An exec is known to have succeeded when the new image announces itself. One that cannot (opaque) is believed at
//    once and taken back if the call returns. One that never announces itself is OPAQUE_SILENT.
//  - A file that is a command's standard input, output or error when it starts, or that its process opened before the
//    exec (`cmd > out` in a shell), is a use of the new command too, with kInherited: what it does with it is not seen.
//  - Paths are lexical: `a/../b` is `b` even where `a` is a symbolic link to elsewhere.
//
// Every event may come from a hostile program. What cannot be is ignored or noted in Trace::truth; memory is bounded by
// what came in, times a small constant. Not synchronised.
#ifndef OCPWATCH_DAEMON_SESSION_TRACKER_H_
#define OCPWATCH_DAEMON_SESSION_TRACKER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "daemon/session/trace.h"
#include "ocpwatch/v1/functions.pb.h"
#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

// Whether a call with `flags` that failed with `error` says that nothing has its path. ENOTDIR says so of most, but to
// what wants a directory it rather says that the path is something else.
bool SaysMissing(v1::Op op, uint32_t flags, int32_t error);

// What an event was about, for whoever shows events one by one.
struct Applied {
  uint32_t process = 0;
  int32_t pid = 0;        // 0 where it is not known yet.
  CommandId command = 0;  // 0 where there is none yet.
  PathId path = kNoPath;  // The call's path, or that of its descriptor, absolute.
  PathId path2 = kNoPath;
};

// Is told when commands begin and end. A command that has ended may still get a better end (a signal known by a wait)
// or, if its exec turns out to have failed, be taken back.
class TrackerObserver {
 public:
  virtual ~TrackerObserver() = default;
  virtual void OnCommandStarted(CommandId command) = 0;
  virtual void OnCommandEnded(CommandId command) = 0;
  // Its parent has waited for it, or the session's end tells.
  virtual void OnProcessGone(uint32_t) {}
};

// A process that has not ended as far as events tell.
struct LiveProcess {
  uint32_t process = 0;
  int32_t pid = 0;            // 0: not known.
  int32_t parent_pid = 0;     // Of the process that made it; 0: not known.
  uint64_t last_seen_ns = 0;  // Its last event, CLOCK_MONOTONIC.
};

class ProcessTable;

class Tracker {
 public:
  // `trace` and `observer` (may be null) outlive the tracker.
  explicit Tracker(Trace* trace, TrackerObserver* observer = nullptr);
  ~Tracker();

  // First of all.
  void Begin(const v1::SessionHeader& header);

  Applied OnFrame(const v1::Frame& frame);
  void OnDamage(const v1::StreamDamage& damage);
  // What a build session did with a command: one that is reused never announces itself.
  void OnDecision(const v1::Decision& decision);
  // The session's command has ended; processes it left behind may go on.
  void OnEnd(const v1::SessionEnd& end);
  // Nothing more will come. Commands of processes for which `lives` is false end: END_UNKNOWN.
  void Close(absl::FunctionRef<bool(uint32_t process)> lives);

  // Any of the above by the kind of the event; headers and summaries do nothing.
  Applied Apply(const v1::Event& event);

  std::vector<LiveProcess> LiveProcesses() const;
  const ProcessTable& processes() const;
  // The one process; false if it is not known or has ended.
  bool FindLive(uint32_t process, LiveProcess* live) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_TRACKER_H_
