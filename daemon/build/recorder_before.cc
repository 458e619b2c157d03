// Calls that change files, before they are made. Each is synchronous: what is there is looked at.
#include <fcntl.h>
#include <sys/stat.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/build/process_state.h"
#include "daemon/build/recorder_impl.h"
#include "daemon/session/path.h"

namespace ocpwatch {

namespace {

// A directory with more below it than this is not followed when it is renamed.
constexpr size_t kMaxTree = 100'000;
// The kernel's own bound for links on the way: path_resolution(7).
constexpr int kMaxLinks = 40;

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
                                          uint32_t process, FollowedModel model) {
  const Trace& trace = model.trace;
  const std::string& name = trace.Path(path);
  FileState state = StateOf(name, nofollow);
  KeepBefore(path, state, model);
  SettleReaders(state);
  if (!Counts(scope, name)) return state;
  Seen seen;
  seen.type = state.type;
  const bool adds = (weight & kAddsTo) != 0;
  seen.weight = weight & ~(adds && state.type == v1::FILE_ABSENT ? kContent : kAddsTo);
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
  // Of two that make one directory it does not matter who was first.
  const bool alike = state.type == v1::FILE_DIRECTORY && weight == kExistence;
  if (std::vector<Scope*> writers; !alike && !(writers = WritersBeside(*scope, path)).empty()) {
    totals_.add_hazards(absl::StrCat(absl::Utf8SafeCEscape(name), " was written by two commands at the same time"));
    writers.push_back(scope);
    for (Scope* writer : writers) {
      writer->Taint(v1::Decision::REASON_HAZARD, "two commands wrote a file at the same time", name);
    }
  }
  for (const auto& [command, other] : scopes_) {
    for (const OutputGroup& group : other->start.outputs) {
      if (group.kind != OpenDescriptor::Kind::kFile || group.ino != state.stamp.ino || group.dev != state.stamp.dev ||
          state.type != v1::FILE_REGULAR || !scope->IsBeside(*other)) {
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
    for (int hops = 0; hops < kMaxLinks; ++hops) {
      const std::string& name = trace.Path(path);
      const FileState link = StateOf(name, /*nofollow=*/true);
      if (link.type != v1::FILE_SYMLINK) break;
      ObserveState(scope, path, /*nofollow=*/true, link, kExistence, trace);
      const std::string real = RealPath(name);
      std::string target = real;
      // It leads to nothing yet.
      if (real == name && !ResolvePath("/", RealPath(DirectoryOf(name)), link.target, &target)) break;
      path = trace.Intern(target);
    }
    return path;
  };
  // "/dev/fd/3" is a descriptor of the caller's, and if it is looked up here one of the daemon's.
  const Process* const caller = model.tracker.processes().Find(process);
  const auto descriptor = before.path == kNoPath || caller == nullptr
                              ? std::nullopt
                              : DescriptorNamed(trace.Path(before.path), caller->pid);
  const auto look = [&](PathId path, bool nofollow, uint32_t weight, bool replaced) {
    return path == kNoPath ? FileState() : LookBefore(scope, path, nofollow, weight, replaced, process, model);
  };
  const bool by_second = (op == v1::OP_LINK || op == v1::OP_SYMLINK) && before.path2 != kNoPath;
  before.unlooked = !scope->looked.contains(by_second ? before.path2 : before.path);
  switch (op) {
    case v1::OP_OPEN:
    case v1::OP_REOPEN: {
      if (descriptor.has_value()) before.path = kNoPath;  // OnOpenedByDescriptor says what that means.
      if (before.path == kNoPath) break;
      const uint32_t flags = call.flags();
      const bool exclusive = (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0;
      if (!exclusive) before.path = through_links(before.path);
      const bool from_nothing = (flags & O_TRUNC) != 0;
      const bool by_any_means = from_nothing && (flags & O_CREAT) != 0 && !exclusive;
      const uint32_t stays = (flags & O_CREAT) != 0 ? kContent | kAddsTo : kContent;
      before.state = look(before.path, exclusive, from_nothing || exclusive ? kExistence : stays, by_any_means);
      if (!from_nothing && !exclusive && before.state.type == v1::FILE_ABSENT) {
        NoteAddition(scope, before.path, &trace);
      }
      if (by_any_means && before.state.type == v1::FILE_REGULAR) {
        const auto umask = caller == nullptr ? std::nullopt : UmaskOf(caller->pid);
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
      if (descriptor.has_value()) {
        const Descriptor* const opened = descriptor->own ? caller->descriptors.Find(descriptor->fd) : nullptr;
        before.path = opened == nullptr ? kNoPath : opened->path;
      }
      if (before.path == kNoPath) break;
      if ((call.flags() & AT_SYMLINK_NOFOLLOW) == 0) before.path = through_links(before.path);
      before.state = look(before.path, (call.flags() & AT_SYMLINK_NOFOLLOW) != 0, kContent | kMode, false);
      break;
  }
  NoteDraftChange(scope, op, call.flags(), before, trace);
  for (const PathId path : {before.path, before.path2}) {
    Intend(scope, path, trace);
    // At once: two calls that wait side by side have to know of each other.
    const bool removes_nothing = (op == v1::OP_UNLINK || op == v1::OP_RMDIR) && before.state.type == v1::FILE_ABSENT;
    if (path == kNoPath || op == v1::OP_MKDIR || removes_nothing) continue;
    if (scope->about_to_write.insert(path).second) before.announced.push_back(path);
  }
  befores_[uint64_t{process} << 32 | call.id()] = std::move(before);
}

void BuildRecorder::Impl::Intend(Scope* scope, PathId path, const Trace& trace) {
  if (scope == nullptr || path == kNoPath || !scope->intended.insert(path).second) return;
  intents_.Begin(session_, trace.Path(path));
}

void BuildRecorder::Impl::NoteAddition(Scope* scope, PathId path, Trace* trace) {
  while (scope->parent != nullptr) scope = scope->parent;
  if (scope->changed.contains(path) || !IsUnderMade(*scope, path, trace) || !Counts(scope, trace->Path(path))) return;
  Seen seen;
  seen.weight = kAddsTo;
  seen.order = ++order_;
  seen.under_made = true;
  scope->seen.try_emplace(Scope::Key(path, /*nofollow=*/false), std::move(seen));
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

}  // namespace ocpwatch
