// What a session did, as data: its commands and the files that each of them used. Made by Tracker from events, live or
// from a log; stored as StoredModel; read by every report.
//
// Paths are absolute, lexically normalised bytes, interned in one table. A (command, path) pair occurs once, however
// often it was used, so the size follows the number of distinct uses, not of calls.
//
// Not synchronised: a live session guards its Trace with its own mutex.
#ifndef OCPWATCH_DAEMON_SESSION_TRACE_H_
#define OCPWATCH_DAEMON_SESSION_TRACE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "ocpwatch/v1/session.pb.h"

namespace ocpwatch {

using PathId = uint32_t;
inline constexpr PathId kNoPath = UINT32_MAX;
using CommandId = uint32_t;  // From 1 in order of appearance; 0 is none.

// What a command did with a path. Bits of Use::kinds and of StoredUse.kinds.
enum UseKind : uint32_t {
  kRead = 1u << 0,        // Opened for reading (a file's content), mapped, loaded, or its link target read.
  kWritten = 1u << 1,     // Opened for writing, made, or it is what a rename, link, symlink or mkdir left behind.
  kMissing = 1u << 2,     // Looked for and not there; see SaysMissing in tracker.h.
  kListed = 1u << 3,      // A directory whose names were read.
  kRemoved = 1u << 4,     // Unlinked, rmdir, or renamed away.
  kChecked = 1u << 5,     // stat, access, readlink, realpath: it was there.
  kExecuted = 1u << 6,    // Executed as a program, or the interpreter of one. Also kRead.
  kAttributes = 1u << 7,  // Mode, owner, times, xattr or length changed. Length also kWritten.
  kCreated = 1u << 8,     // It did not exist before, as far as the call tells (O_EXCL, mkdir, symlink, mkstemp).
  kDenied = 1u << 9,      // A call failed with an error other than not there.
  kLoaded = 1u << 10,     // By the dynamic loader. Also kRead.
  kDirectory = 1u << 11,  // It is a directory, as a call showed.
  kInherited = 1u << 12,  // Written or read through a descriptor that was open at the exec. With kRead or kWritten.
};

struct Use {
  PathId path = 0;
  uint32_t kinds = 0;
  uint32_t count = 0;     // Calls.
  int32_t error = 0;      // errno of the last failure.
  uint64_t first_ns = 0;  // CLOCK_MONOTONIC
};

// What a report's lists are made of.
inline bool IsRead(const Use& use) { return (use.kinds & kRead) != 0; }
inline bool IsWrite(const Use& use) { return (use.kinds & (kWritten | kAttributes)) != 0; }
inline bool IsListed(const Use& use) { return (use.kinds & kListed) != 0; }
inline bool IsRemoved(const Use& use) { return (use.kinds & kRemoved) != 0; }
inline bool IsFound(const Use& use) {
  return (use.kinds & (kRead | kWritten | kAttributes | kListed | kRemoved | kChecked)) != 0;
}
// Looked for and never found by that command.
inline bool IsMissing(const Use& use) { return (use.kinds & kMissing) != 0 && !IsFound(use); }
// Looked at and nothing more.
inline bool IsChecked(const Use& use) {
  return (use.kinds & kChecked) != 0 && !IsRead(use) && !IsWrite(use) && !IsListed(use) && !IsRemoved(use);
}

// One exec in a process, with the forked children that executed nothing.
struct Command {
  CommandId id = 0;
  CommandId parent = 0;
  uint32_t process = 0;  // Process number.
  int32_t pid = 0;
  std::vector<std::string> argv;
  std::string executable;  // Absolute.
  std::string cwd;         // At the start.
  uint64_t start_ns = 0;   // CLOCK_MONOTONIC
  uint64_t end_ns = 0;     // 0 while it runs.
  v1::EndKind end = v1::END_RUNNING;
  int32_t end_value = 0;  // Exit status or signal.
  v1::OpaqueReason opaque = v1::OPAQUE_NONE;
  std::string opaque_detail;  // For people; may be empty.
  uint32_t forks = 0;
  // Of a build session: reused, or why it ran; and of one that ran whether it is kept. Null: not asked.
  std::shared_ptr<const v1::Decision> decision;
  std::shared_ptr<const v1::Decision> kept;
  std::vector<Use> uses;  // In order of first use.
};

class Trace {
 public:
  Trace() = default;
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  PathId Intern(std::string_view path);
  const std::string& Path(PathId id) const { return paths_[id]; }
  size_t path_count() const { return paths_.size(); }

  // Adds a use, or joins it to what is known of (command, path).
  void AddUse(CommandId command, PathId path, uint32_t kinds, uint64_t time_ns, int32_t error = 0);

  // Puts a use of the newest command back as it was stored; nothing if (command, path) is there already or cannot be.
  // A trace is either restored or made by AddUse: the index that AddUse needs is not built, which would be half the
  // time of loading.
  void RestoreUse(CommandId command, const Use& use);

  Command& NewCommand();  // Gets the next id.
  // Takes the newest command back, as if it had never been; false if another one has come since.
  bool DropNewest(CommandId id);
  Command* Find(CommandId id);
  const Command* Find(CommandId id) const;
  const std::deque<Command>& commands() const { return commands_; }

  // Bytes held, roughly.
  size_t MemoryUse() const;

  v1::Truth truth;
  v1::SessionEnd end;     // `how` not set while the session runs.
  uint64_t start_ns = 0;  // CLOCK_MONOTONIC; the zero of a report's times.
  uint64_t events = 0;
  uint64_t processes = 0;
  std::vector<uint64_t> calls;  // By FunctionId.

 private:
  std::deque<std::string> paths_;
  size_t path_bytes_ = 0;
  absl::flat_hash_map<std::string_view, PathId> path_ids_;  // Views into paths_, whose elements never move.
  std::deque<Command> commands_;
  absl::flat_hash_map<uint64_t, uint32_t> use_index_;  // command << 32 | path -> position in Command::uses
  std::vector<CommandId> restored_for_;                // By PathId: the last command that a use was restored for.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_TRACE_H_
