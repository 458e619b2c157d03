// What a build session is learning of one command while it runs: the observations and changes of the action that the
// command and its sub-commands are.
//
// Whatever a command observes or changes, all commands above it observe or change too, unless they have changed the
// same path before: so each event goes up the chain of scopes. A scope ends with its process; then it becomes a record.
#ifndef OCPWATCH_DAEMON_BUILD_SCOPE_H_
#define OCPWATCH_DAEMON_BUILD_SCOPE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "daemon/build/descriptors.h"
#include "daemon/build/file_state.h"
#include "daemon/build/running_actions.h"
#include "daemon/build/temporaries.h"
#include "daemon/build/write_intents.h"
#include "daemon/session/trace.h"
#include "daemon/store/digest.h"
#include "ocpwatch/v1/action.pb.h"

namespace ocpwatch {

// A content that was there at some moment, shared by all that observed it. Its digest may come later, but before
// anybody changes the file.
struct Version {
  std::string path;
  FileStamp stamp;
  std::optional<Digest> digest;
  bool lost = false;  // It changed before it could be hashed.
};

// What counts of an observation. See v1::Observation.
enum Weight : uint32_t {
  kExistence = 0,
  kContent = 1u << 0,
  kStatus = 1u << 1,
  kTimes = 1u << 2,  // Looked up by path, by the command itself. Counts where it has no sub-commands, or has failed.
  kMode = 1u << 3,
  kListing = 1u << 4,
  kTimesBelow = 1u << 5,     // The time counts for a command below that has no sub-commands.
  kListsAll = 1u << 6,       // See v1::Observation.lists_all.
  kAddsTo = 1u << 7,         // It was not there; what there might have been would have stayed below what was written.
  kIntoDirectory = 1u << 8,  // It was not there; had it been a directory, what was made would have gone into it.
};

struct Seen {
  v1::FileType type = v1::FILE_ABSENT;
  uint32_t weight = kExistence;
  FileStamp stamp;
  std::shared_ptr<Version> version;        // Of regular files.
  std::shared_ptr<const Listing> listing;  // kListing
  std::vector<std::string> without;        // Names in it that a reused command had made or removed before it looked.
  std::string target;
  bool replaced = false;
  int32_t error = 0;
  uint64_t order = 0;
  uint32_t aged_by = 0;  // With kTimesBelow: see v1::Observation.
  uint32_t only_by = 0;  // The process that alone has looked, by one kind of call; 0: several, or otherwise used.
  bool idle_look = false;
  bool under_made = false;  // In a directory that the command had made.

  void CountTimesBelow(uint32_t by) {
    if ((weight & kTimesBelow) != 0 && aged_by != by) by = 0;
    weight |= kTimesBelow;
    aged_by = by;
  }
};

struct Change {
  uint64_t order = 0;  // Of the last one.
  uint64_t first = 0;  // And of the first.
  uint32_t made_mode =
      0;                  // Of a file that was there and keeps its mode: what it would have been made with. 0: unknown.
  bool mode_set = false;  // Also: made anew.
  bool times_set = false;
  bool keeps_times = false;  // A change of what is said of the file alone.
  bool in_place = false;
  bool is_directory = false;
  bool is_link = false;       // A symbolic one.
  bool asked = false;         // See v1::Effect.
  bool unrepeatable = false;  // See v1::Effect.
  bool noticed = false;       // Not asked; but somebody else than who made it had looked before: see recorder_again.cc.
  CommandId by = 0;           // Who alone has changed it; 0: several, or one that was reused.
  bool made_anew = false;     // There was nothing when it was opened.
  bool whole = false;         // What was there had no part in what came: the first change removed or emptied it.
  PathId linked_from = kNoPath;
  PathId moved_from = kNoPath;                           // Of a regular file: its times moved with it.
  std::shared_ptr<const std::vector<PathId>> made_from;  // See v1::Effect.from_observations.
  PathId times_from = kNoPath;  // With times_set: it has those of the file that was there at first.
};

// Descriptors that lead to the same pipe, terminal or file, into which the command may write.
struct OutputGroup {
  std::vector<int32_t> fds;
  OpenDescriptor::Kind kind = OpenDescriptor::Kind::kPipe;
  std::optional<uint64_t> stream;  // Of the relay; none: not captured.
  std::string path;                // Of a file; what is behind `start` at the end was written by the command.
  uint64_t start = 0;
  FileStamp stamp;        // Of a file, at the start.
  bool in_place = false;  // Of a file: what is written goes over what is there.
  bool unclear = false;   // Of a file: nobody knows who else can write to it.
  // Of a file: who else can, what started the command say; and those that they start later, of a rank from `born` on.
  struct Holder {
    uint32_t process = 0;
    int32_t pid = 0;
    std::optional<uint64_t> written;  // Bytes, to wherever, until the command was started.
  };
  std::vector<Holder> holders;
  uint32_t born = 0;
  uint64_t dev = 0;
  uint64_t ino = 0;
};

// A file that the command has as an input, and that whoever started it has open too, at the same place: what the
// command reads, the other does not find any more.
struct SharedInput {
  int32_t fd = -1;  // In the command.
  uint64_t offset = 0;
  int32_t holder = 0;  // Its pid.
  int32_t holder_fd = -1;
  uint64_t dev = 0;
  uint64_t ino = 0;
  bool used = false;  // Somebody has read from it.
};

// What was decided about a command before it started.
struct Start {
  v1::Fingerprint key;
  std::string fingerprint;
  bool asked = false;  // False: it can be a part of another action only.
  std::vector<OpenDescriptor> open;
  std::vector<OutputGroup> outputs;
  std::vector<SharedInput> inputs;
  v1::Decision decision;  // That it runs, and why.
  WriteIntents::Moment since = 0;
  RunningActions::Ticket ticket;
  Temporaries temporaries;  // That the key is canonical in.
};

struct Scope {
  CommandId command = 0;
  Scope* parent = nullptr;
  uint32_t process = 0;
  uint64_t start_ns = 0;
  uint32_t commands = 1;  // With sub-commands, reused ones as well.
  Start start;
  WriteIntents::Moment since = 0;  // What other sessions have changed since then may have been seen by it.

  absl::flat_hash_map<uint64_t, Seen> seen;  // By Key.
  absl::flat_hash_set<PathId> looked;        // It looked by itself whether that is there.
  // Who alone has, of it and those below, before any of them changed anything there. 0: several, or one that is reused.
  absl::flat_hash_map<PathId, CommandId> lookers;
  absl::flat_hash_map<PathId, Change> changed;
  absl::flat_hash_set<PathId> about_to_write;  // By itself: it waits for our answer, or has done it.
  absl::flat_hash_set<PathId> made_directories;
  absl::flat_hash_set<PathId> made_links;  // Symbolic ones.
  std::vector<PathId> temporaries;         // Names that were drawn at random by it, or left behind by what it started.
  absl::flat_hash_set<PathId> intended;    // By itself; the other sessions know.
  absl::flat_hash_set<uint32_t> forks;     // Process numbers that live, as far as is known.
  absl::flat_hash_set<Scope*> children;    // That have not ended.
  std::set<std::string> ignored;
  bool first_only = false;  // See v1::ActionRecord.

  v1::Decision::Reason taint = v1::Decision::REASON_NONE;
  std::string taint_text;
  std::string taint_path;

  bool IsAbove(const Scope& other) const {
    const Scope* above = other.parent;
    while (above != nullptr && above != this) above = above->parent;
    return above == this;
  }
  bool IsBeside(const Scope& other) const { return this != &other && !IsAbove(other) && !other.IsAbove(*this); }
  bool Writes(PathId path) const { return changed.contains(path) || about_to_write.contains(path); }

  static uint64_t Key(PathId path, bool nofollow) { return uint64_t{path} << 1 | (nofollow ? 1 : 0); }
  // It becomes no record: so what else it learns is not kept. What it changes is: others may be about to read that.
  bool IsTainted() const { return taint != v1::Decision::REASON_NONE; }
  // The first reason stays.
  void Taint(v1::Decision::Reason reason, std::string text, std::string path = "") {
    if (IsTainted()) return;
    taint = reason;
    taint_text = std::move(text);
    taint_path = std::move(path);
    start.ticket.Return();  // Nobody needs to wait for it.
  }
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_SCOPE_H_
