// Calls that have changed files: what each has left.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "daemon/build/recorder_impl.h"

namespace ocpwatch {

namespace {

// The kernel's clock for files stands still for up to a jiffy, 10 ms at most.
constexpr int64_t kClockStepNs = 10'000'000;

// As we would make it: ours, and without extended attributes.
bool IsPlain(const std::string& path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0 && status.st_uid == geteuid() && status.st_gid == getegid() &&
         llistxattr(path.c_str(), nullptr, 0) <= 0;
}

}  // namespace

void BuildRecorder::Impl::MarkChanged(Scope* scope, PathId path, const Change& change, Trace* trace) {
  Intend(scope, path, *trace);
  TakeChange(scope, path, change, scope, trace);
}

void BuildRecorder::Impl::TakeChange(Scope* scope, PathId path, const Change& change, const Scope* writer,
                                     Trace* trace) {
  if (scope == nullptr || path == kNoPath || !Counts(scope, trace->Path(path))) return;
  versions_.erase(path);
  bool asked = change.asked;
  for (Scope* above = scope; above != nullptr; above = above->parent) {
    const auto [found, fresh] = above->changed.try_emplace(path, change);
    Change& known = found->second;
    asked = asked || (fresh && above != writer && above->looked.contains(path));
    known.asked = known.asked || asked;
    const CommandId by = writer != nullptr ? writer->command : 0;
    const auto looker = fresh ? above->lookers.find(path) : above->lookers.end();
    if (looker != above->lookers.end()) known.noticed = !asked && (writer == nullptr || looker->second != by);
    known.by = fresh || known.by == by ? by : 0;
    if (!fresh) {
      // It was there, and went away before it was made anew.
      known.mode_set = known.mode_set || change.mode_set || change.made_anew;
      if (!change.keeps_times) {
        known.times_set = change.times_set;
        known.times_from = kNoPath;
      }
      // Made anew once, it is no longer the file that others have under another name.
      if (!change.in_place) known.linked_from = change.linked_from;
      known.in_place = known.in_place && change.in_place;
      known.is_directory = change.is_directory;
    }
    if (change.moved_from != kNoPath) {
      const auto source = above->changed.find(change.moved_from);
      const bool found_there = source == above->changed.end();
      known.times_set = found_there || source->second.times_set;
      known.times_from = found_there ? change.moved_from : source->second.times_from;
    }
    if (!known.is_directory || fresh) known.order = ++order_;
    if (fresh) known.first = known.order;
    if (change.in_place) continue;
    if (change.is_directory && change.mode_set) {
      above->made_directories.insert(path);
    } else {
      above->made_directories.erase(path);
    }
    if (change.is_link) {
      above->made_links.insert(path);
    } else {
      above->made_links.erase(path);
    }
  }
  if (!change.in_place) real_paths_.clear();
}

void BuildRecorder::Impl::CountMovedMode(Scope* scope, PathId path) {
  for (Scope* above = scope; above != nullptr; above = above->parent) {
    const auto known = above->changed.find(path);
    if (known != above->changed.end() && !known->second.mode_set) return CountMode(above, path);
  }
}

void BuildRecorder::Impl::ChangeOtherNames(Scope* scope, PathId path, const FileState& before, const Change& change,
                                           Trace* trace) {
  if (!change.in_place || before.type != v1::FILE_REGULAR || before.links < 2) return;
  const auto is_it = [&](PathId other) {
    const FileState state = StateOf(trace->Path(other), /*nofollow=*/true);
    return state.type == v1::FILE_REGULAR && state.stamp.ino == before.stamp.ino && state.stamp.dev == before.stamp.dev;
  };
  if (const auto source = LinkedFrom(*scope, path); source.has_value() && *source != path && is_it(*source)) {
    TakeChange(scope, *source, change, scope, trace);
  }
  for (Scope* above = scope; above != nullptr; above = above->parent) {
    const auto known = above->changed.find(path);
    if (known == above->changed.end() || known->second.in_place)
      continue;  // All its names are changed by restoring one.
    const auto names = std::count_if(above->changed.begin(), above->changed.end(),
                                     [&](const auto& changed) { return is_it(changed.first); });
    if (static_cast<uint64_t>(names) < before.links) {
      above->Taint(v1::Decision::REASON_OTHER, "it wrote into a file that has other names", trace->Path(path));
    }
  }
}

std::optional<PathId> BuildRecorder::Impl::LinkedFrom(const Scope& scope, PathId path) {
  for (const Scope* above = &scope; above != nullptr; above = above->parent) {
    const auto changed = above->changed.find(path);
    if (changed != above->changed.end() && changed->second.linked_from != kNoPath) return changed->second.linked_from;
  }
  return std::nullopt;
}

void BuildRecorder::Impl::AfterChange(Scope* scope, v1::Op op, const v1::AfterCall& call, const Before& before,
                                      uint32_t process, FollowedModel model) {
  Trace& trace = model.trace;
  const bool was_there = before.state.type != v1::FILE_ABSENT;
  Change change;
  switch (op) {
    case v1::OP_OPEN:
    case v1::OP_REOPEN:
      // One that was there would have kept its mode, had it been emptied.
      change.whole = (call.flags() & O_TRUNC) != 0;
      change.mode_set = !was_there && (!change.whole || (call.flags() & O_EXCL) != 0);
      change.made_anew = !was_there;
      change.unrepeatable = before.unlooked && !was_there && (call.flags() & O_EXCL) != 0;
      change.in_place = was_there;
      change.made_mode = before.made_mode;
      break;
    case v1::OP_MKDIR:
      change.mode_set = change.is_directory = true;
      change.unrepeatable = true;
      return MarkChanged(scope, before.path, change, &trace);
    case v1::OP_MKNOD:
    case v1::OP_SYMLINK:
      change.mode_set = true;
      change.is_link = op == v1::OP_SYMLINK;
      change.unrepeatable = before.unlooked;
      break;
    case v1::OP_UNLINK:
    case v1::OP_RMDIR: {
      // The look and the removal by one process, and nothing else: see v1::Observation.idle_look.
      for (Scope* above = scope; above != nullptr; above = above->parent) {
        for (const bool nofollow : {false, true}) {
          const auto seen = above->seen.find(Scope::Key(before.path, nofollow));
          if (seen != above->seen.end() && seen->second.only_by == process) seen->second.idle_look = true;
        }
      }
      change.whole = true;
      change.unrepeatable = before.unlooked;
      break;
    }
    case v1::OP_RENAME: {
      CountMovedMode(scope, before.path);
      const bool exchange = (call.flags() & RENAME_EXCHANGE) != 0;
      if (exchange) return TaintUp(scope, v1::Decision::REASON_OTHER, "it exchanged two files");
      const bool directory = before.state.type == v1::FILE_DIRECTORY;
      if (before.state2.type == v1::FILE_REGULAR && before.state.stamp.ino == before.state2.stamp.ino &&
          before.state.stamp.dev == before.state2.stamp.dev) {
        // Two names of one file: nothing happens. They have to be so when it is not run as well.
        change.mode_set = true;
        change.linked_from = LinkedFrom(*scope, before.path).value_or(before.path);
        return MarkChanged(scope, before.path2, change, &trace);
      }
      Change gone;
      gone.unrepeatable = before.unlooked;
      Change come;
      come.mode_set = true;
      come.whole = true;
      come.linked_from = LinkedFrom(*scope, before.path).value_or(kNoPath);
      come.is_directory = come.unrepeatable = directory;
      come.is_link = before.state.type == v1::FILE_SYMLINK;
      // The content moved as it was, so its times did too.
      if (before.state.type == v1::FILE_REGULAR) come.moved_from = before.path;
      const std::string from = trace.Path(before.path);
      const std::string to = before.path2 == kNoPath ? "" : trace.Path(before.path2);
      MarkChanged(scope, before.path2, come, &trace);
      for (const std::string& below : before.tree) {
        const PathId path = trace.Intern(to + below);
        Change moved;
        moved.mode_set = true;
        const v1::FileType type = StateOf(to + below, /*nofollow=*/true).type;
        moved.is_directory = type == v1::FILE_DIRECTORY;
        moved.is_link = type == v1::FILE_SYMLINK;
        if (type == v1::FILE_REGULAR) moved.moved_from = trace.Intern(from + below);
        MarkChanged(scope, path, moved, &trace);
      }
      for (auto below = before.tree.rbegin(); below != before.tree.rend(); ++below) {
        MarkChanged(scope, trace.Intern(from + *below), gone, &trace);
      }
      return MarkChanged(scope, before.path, gone, &trace);
    }
    case v1::OP_LINK:
      CountMovedMode(scope, before.path);
      change.mode_set = true;
      change.linked_from = before.path;
      change.unrepeatable = before.unlooked;
      change.is_link = before.state.type == v1::FILE_SYMLINK;
      return MarkChanged(scope, before.path2, change, &trace);
    case v1::OP_CHOWN:
    case v1::OP_SET_XATTR:
      // `cp -p` gives its copy the owner that it has, and an access list that says what its mode says.
      if (before.path == kNoPath || !IsPlain(trace.Path(before.path))) {
        return TaintUp(scope, v1::Decision::REASON_OTHER, "it changed an owner or an extended attribute",
                       before.path == kNoPath ? "" : trace.Path(before.path));
      }
      if (before.state.type == v1::FILE_SYMLINK) return;
      [[fallthrough]];
    case v1::OP_CHMOD:
      change.mode_set = true;
      change.in_place = true;
      change.keeps_times = true;
      change.is_directory = before.state.type == v1::FILE_DIRECTORY;
      if (change.is_directory) {
        // Its mode is an effect; it was not made here.
        for (Scope* above = scope; above != nullptr; above = above->parent) {
          const bool made = above->made_directories.contains(before.path);
          Change& known = above->changed.try_emplace(before.path, change).first->second;
          known.mode_set = true;
          if (known.order == 0) known.order = known.first = ++order_;
          if (!made) above->made_directories.erase(before.path);
        }
        return;
      }
      break;
    case v1::OP_UTIMES: {
      const FileState now = StateOf(trace.Path(before.path), (call.flags() & AT_SYMLINK_NOFOLLOW) != 0);
      if (now.type == v1::FILE_DIRECTORY) return;  // Times of directories are nobody's input.
      change.in_place = true;
      // To something else than now.
      change.times_set =
          now.stamp.mtime_ns < before.time_ns - kClockStepNs || now.stamp.mtime_ns > absl::GetCurrentTimeNanos();
      break;
    }
    case v1::OP_TRUNCATE:
      change.in_place = true;
      break;
    default:
      return;
  }
  ChangeOtherNames(scope, before.path, before.state, change, &trace);
  MarkChanged(scope, before.path, change, &trace);
}

}  // namespace ocpwatch
