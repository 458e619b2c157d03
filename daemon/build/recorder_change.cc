// Calls that change files. Each is synchronous: before it is made, what is there is looked at.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/build/process_state.h"
#include "daemon/build/recorder_impl.h"

namespace ocpwatch {

namespace {

// A directory with more below it than this is not followed when it is renamed.
constexpr size_t kMaxTree = 100'000;
// The kernel's clock for files stands still for up to a jiffy, 10 ms at most.
constexpr int64_t kClockStepNs = 10'000'000;

bool Writes(uint32_t flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0; }

// Paths below `directory`, relative to it, each directory before what is in it. False if there are too many.
bool ListTree(const std::string& directory, const std::string& below, std::vector<std::string>* tree) {
  for (const ListedName& entry : List(absl::StrCat(directory, below))) {
    const std::string path = absl::StrCat(below, "/", entry.name);
    tree->push_back(path);
    if (tree->size() > kMaxTree) return false;
    struct stat status;
    if (lstat(absl::StrCat(directory, path).c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
        !ListTree(directory, path, tree)) {
      return false;
    }
  }
  return true;
}

// As we would make it: ours, and without extended attributes.
bool IsPlain(const std::string& path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0 && status.st_uid == geteuid() && status.st_gid == getegid() &&
         llistxattr(path.c_str(), nullptr, 0) <= 0;
}

}  // namespace

bool BuildRecorder::Impl::Changes(v1::Op op, uint32_t flags) {
  switch (op) {
    case v1::OP_OPEN:
    case v1::OP_REOPEN:
      return Writes(flags) && (flags & O_PATH) == 0;
    case v1::OP_MKDIR:
    case v1::OP_RMDIR:
    case v1::OP_MKNOD:
    case v1::OP_UNLINK:
    case v1::OP_RENAME:
    case v1::OP_LINK:
    case v1::OP_SYMLINK:
    case v1::OP_CHMOD:
    case v1::OP_CHOWN:
    case v1::OP_UTIMES:
    case v1::OP_TRUNCATE:
    case v1::OP_SET_XATTR:
      return true;
    default:
      return false;
  }
}

FileState BuildRecorder::Impl::LookBefore(Scope* scope, PathId path, bool nofollow, uint32_t weight, bool replaced,
                                          uint32_t process, const Trace& trace) {
  const std::string& name = trace.Path(path);
  FileState state = StateOf(name, nofollow);
  SettleReaders(state);
  if (!Counts(scope, name)) return state;
  Seen seen;
  seen.type = state.type;
  seen.weight = weight;
  seen.stamp = state.stamp;
  seen.target = state.type == v1::FILE_SYMLINK ? state.target : "";
  seen.replaced = replaced;
  seen.only_by = process;
  if (state.type == v1::FILE_REGULAR && (weight & kContent) != 0) {
    seen.version = VersionOf(path, state.stamp, trace);
    Resolve(seen.version.get());
  }
  if (state.type == v1::FILE_DIRECTORY && (weight & kListing) != 0) {
    seen.listing = std::make_shared<const Listing>(List(name));
  }
  Observe(scope, path, nofollow, std::move(seen), trace);
  if (const auto writer = writers_.find(path); writer != writers_.end() && Unordered(*scope, writer->second, trace)) {
    totals_.add_hazards(absl::StrCat(absl::Utf8SafeCEscape(name), " was written by two commands at the same time"));
    scope->Taint(v1::Decision::REASON_HAZARD, "two commands wrote a file at the same time", name);
    if (Scope* const other = ScopeOf(writer->second)) {
      other->Taint(v1::Decision::REASON_HAZARD, "two commands wrote a file at the same time", name);
    }
  }
  for (const auto& [command, other] : scopes_) {
    for (const OutputGroup& group : other->start.outputs) {
      if (group.kind != OpenDescriptor::Kind::kFile || group.ino != state.stamp.ino || group.dev != state.stamp.dev ||
          state.type != v1::FILE_REGULAR || !Unordered(*scope, command, trace)) {
        continue;
      }
      other->Taint(v1::Decision::REASON_HAZARD, "another command wrote to its output at the same time", name);
    }
  }
  return state;
}

void BuildRecorder::Impl::BeforeChange(Scope* scope, v1::Op op, const v1::BeforeCall& call, uint32_t process,
                                       FollowedModel model) {
  Before before;
  Trace& trace = model.trace;
  before.path = Physical(scope, last_applied_.path, call.path(), call.fd(), process, model);
  before.path2 = Physical(scope, last_applied_.path2, call.path2(), call.fd2(), process, model);
  before.time_ns = absl::GetCurrentTimeNanos();
  const auto through_links = [&](PathId path) {
    const FileState link = StateOf(trace.Path(path), /*nofollow=*/true);
    if (link.type != v1::FILE_SYMLINK) return path;
    ObserveState(scope, path, /*nofollow=*/true, link, kExistence, trace);
    return trace.Intern(RealPath(trace.Path(path)));
  };
  const auto look = [&](PathId path, bool nofollow, uint32_t weight, bool replaced) {
    return path == kNoPath ? FileState() : LookBefore(scope, path, nofollow, weight, replaced, process, trace);
  };
  switch (op) {
    case v1::OP_OPEN:
    case v1::OP_REOPEN: {
      if (before.path == kNoPath) break;
      const uint32_t flags = call.flags();
      const bool exclusive = (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0;
      if (!exclusive) before.path = through_links(before.path);
      const bool from_nothing = (flags & O_TRUNC) != 0;
      const bool by_any_means = from_nothing && (flags & O_CREAT) != 0 && !exclusive;
      before.state = look(before.path, exclusive, from_nothing || exclusive ? kExistence : kContent, by_any_means);
      if (by_any_means && before.state.type == v1::FILE_REGULAR) {
        const Process* const opener = model.tracker.processes().Find(process);
        const auto umask = opener == nullptr ? std::nullopt : UmaskOf(opener->pid);
        // fopen has no mode.
        if (umask.has_value()) before.made_mode = (call.mode() == 0 ? 0666 : call.mode() & 07777) & ~*umask;
      }
      break;
    }
    case v1::OP_UNLINK:
    case v1::OP_RMDIR:
      before.state = look(before.path, /*nofollow=*/true, kListing, false);  // A directory has to be empty.
      break;
    case v1::OP_MKDIR:
    case v1::OP_MKNOD:
      before.state = look(before.path, /*nofollow=*/true, kExistence, false);
      break;
    case v1::OP_SYMLINK:
      before.path = before.path2 != kNoPath ? before.path2 : before.path;
      before.state = look(before.path, /*nofollow=*/true, kExistence, false);
      break;
    case v1::OP_RENAME:
      before.state = look(before.path, /*nofollow=*/true, kContent | kListing | kMode, false);
      // A file takes another's place. A directory does not, and neither does who asks not to.
      before.state2 = look(before.path2, /*nofollow=*/true, kListing,
                           before.state.type != v1::FILE_DIRECTORY && (call.flags() & RENAME_NOREPLACE) == 0);
      if (before.state.type == v1::FILE_DIRECTORY && before.path != kNoPath) {
        const std::string directory = trace.Path(before.path);
        TaintUsersOf(scope, directory, model);
        if (!ListTree(directory, "", &before.tree)) {
          TaintUp(scope, v1::Decision::REASON_OTHER, "it renamed a very large directory", directory);
        }
        for (const std::string& below : before.tree) {
          look(trace.Intern(directory + below), /*nofollow=*/true, kContent | kListing | kMode, false);
        }
      }
      break;
    case v1::OP_LINK:
      before.state = look(before.path, /*nofollow=*/true, kContent, false);
      before.state2 = look(before.path2, /*nofollow=*/true, kExistence, false);
      break;
    default:  // What changes an existing file: its content or what is said of it stays in part.
      if (before.path == kNoPath) break;
      if ((call.flags() & AT_SYMLINK_NOFOLLOW) == 0) before.path = through_links(before.path);
      before.state = look(before.path, (call.flags() & AT_SYMLINK_NOFOLLOW) != 0, kContent | kMode, false);
      break;
  }
  Intend(scope, before.path, trace);
  Intend(scope, before.path2, trace);
  befores_[uint64_t{process} << 32 | call.id()] = std::move(before);
}

void BuildRecorder::Impl::Intend(Scope* scope, PathId path, const Trace& trace) {
  if (scope == nullptr || path == kNoPath || !scope->intended.insert(path).second) return;
  intents_.Begin(session_, trace.Path(path));
}

void BuildRecorder::Impl::MarkChanged(Scope* scope, PathId path, const Change& change, Trace* trace) {
  Intend(scope, path, *trace);
  TakeChange(scope, path, change, trace);
}

void BuildRecorder::Impl::TakeChange(Scope* scope, PathId path, const Change& change, Trace* trace) {
  if (scope == nullptr || path == kNoPath || !Counts(scope, trace->Path(path))) return;
  writers_[path] = scope->command;
  versions_.erase(path);
  for (Scope* above = scope; above != nullptr; above = above->parent) {
    const auto [found, fresh] = above->changed.try_emplace(path, change);
    Change& known = found->second;
    if (!fresh) {
      // It was there, and went away before it was made anew.
      known.mode_set = known.mode_set || change.mode_set || change.made_anew;
      if (!change.keeps_times) known.times_set = change.times_set;
      // Made anew once, it is no longer the file that others have under another name.
      if (!change.in_place) known.linked_from = change.linked_from;
      known.in_place = known.in_place && change.in_place;
      known.is_directory = change.is_directory;
    }
    if (change.moved_from != kNoPath) {
      const auto source = above->changed.find(change.moved_from);
      known.times_set = source == above->changed.end() || source->second.times_set;
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

void BuildRecorder::Impl::ChangeOtherNames(Scope* scope, PathId path, const FileState& before, const Change& change,
                                           Trace* trace) {
  if (!change.in_place || before.type != v1::FILE_REGULAR || before.links < 2) return;
  const auto is_it = [&](PathId other) {
    const FileState state = StateOf(trace->Path(other), /*nofollow=*/true);
    return state.type == v1::FILE_REGULAR && state.stamp.ino == before.stamp.ino && state.stamp.dev == before.stamp.dev;
  };
  if (const auto source = LinkedFrom(*scope, path); source.has_value() && *source != path && is_it(*source)) {
    TakeChange(scope, *source, change, trace);
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

void BuildRecorder::Impl::TaintUsersOf(Scope* mover, const std::string& directory, FollowedModel model) {
  const auto within = [&](PathId path) {
    const std::string& name = path == kNoPath ? "" : model.trace.Path(path);
    return name.starts_with(directory) && (name.size() == directory.size() || name[directory.size()] == '/');
  };
  for (const Process* process : model.tracker.processes().InOrder()) {
    if (process->ended) continue;
    bool uses = within(process->cwd);
    process->descriptors.ForEach([&](int32_t, const Descriptor& open) { uses = uses || within(open.path); });
    if (!uses) continue;
    TaintUp(mover, v1::Decision::REASON_OTHER, "it renamed a directory that was in use", directory);
    TaintUp(ScopeOf(process->command), v1::Decision::REASON_OTHER, "its directory was renamed", directory);
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
      change.in_place = was_there;
      change.made_mode = before.made_mode;
      break;
    case v1::OP_MKDIR:
      change.mode_set = change.is_directory = true;
      return MarkChanged(scope, before.path, change, &trace);
    case v1::OP_MKNOD:
    case v1::OP_SYMLINK:
      change.mode_set = true;
      change.is_link = op == v1::OP_SYMLINK;
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
      break;
    }
    case v1::OP_RENAME: {
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
      Change come;
      come.mode_set = true;
      come.whole = true;
      come.linked_from = LinkedFrom(*scope, before.path).value_or(kNoPath);
      come.is_directory = directory;
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
      change.mode_set = true;
      change.linked_from = before.path;
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
