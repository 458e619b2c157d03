// What a command learns of a path, and what has to be known for it to hold again.
#include <algorithm>
#include <cerrno>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "daemon/build/recorder_impl.h"

namespace ocpwatch {

namespace {

bool IsBelow(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

// What there is of the kernel's making: it differs from one moment to the next, and nobody's output is meant to.
constexpr std::string_view kNeverCount[] = {"/proc", "/sys", "/dev"};
constexpr std::string_view kSharedMemory = "/dev/shm";
constexpr size_t kMaxIgnoredNotes = 50;

// Directories change whenever something is made in them; of a file nothing may have changed between two looks.
bool IsSame(const Seen& seen, const Seen& now) {
  const auto none = [](const Seen& look) {
    return look.type == v1::FILE_ABSENT && (look.error == 0 || look.error == ENOTDIR);
  };
  if (none(seen) && none(now)) return true;
  if (seen.error != now.error || seen.type != now.type) return false;
  if (seen.type != v1::FILE_REGULAR)
    return seen.type == v1::FILE_ABSENT || seen.target.empty() || now.target.empty() || seen.target == now.target;
  return seen.stamp.ino == now.stamp.ino && seen.stamp.size == now.stamp.size &&
         seen.stamp.mtime_ns == now.stamp.mtime_ns;
}

// Who has seen the one learns nothing from the other.
bool AddsNothing(const Seen& seen, const Seen& now) {
  return (now.weight & ~seen.weight) == 0 && (now.replaced || !seen.replaced) &&
         (seen.only_by == 0 || seen.only_by == now.only_by) &&
         (seen.aged_by == now.aged_by || seen.aged_by == 0 || (now.weight & kTimesBelow) == 0) &&
         now.target.size() <= seen.target.size() && (now.listing == nullptr || seen.listing != nullptr) &&
         (now.version == nullptr || seen.version != nullptr);
}

// Nobody in the session has changed what is at the path, as far as those above `scope` could tell: what one has
// changed, all above it have.
bool IsUntouched(const Scope& scope, PathId path) {
  const Scope* top = &scope;
  while (top->parent != nullptr) top = top->parent;
  return top->made_links.empty() && !top->changed.contains(path);
}

}  // namespace

bool BuildRecorder::Impl::Counts(Scope* scope, const std::string& path) {
  const auto below = [&](std::string_view directory) { return IsBelow(path, directory); };
  const bool counts =
      (!std::any_of(std::begin(kNeverCount), std::end(kNeverCount), below) || below(kSharedMemory)) &&
      !std::any_of(setup_.configuration.ignored_paths().begin(), setup_.configuration.ignored_paths().end(), below);
  if (counts) return true;
  const auto& counted = setup_.configuration.counted_paths();
  if (std::any_of(counted.begin(), counted.end(), below)) {
    TaintUp(scope, v1::Decision::REASON_CONFIGURED,
            "it used what is never the same, and the configuration says that it counts", path);
  }
  if (path != "/dev/null") {
    for (Scope* above = scope; above != nullptr && above->ignored.size() < kMaxIgnoredNotes; above = above->parent) {
      if (!above->ignored.insert(path).second) break;
    }
  }
  return false;
}

std::shared_ptr<Version> BuildRecorder::Impl::VersionOf(PathId path, const FileStamp& stamp, const Trace& trace) {
  std::shared_ptr<Version>& version = versions_[path];
  if (version != nullptr && version->stamp == stamp && !version->lost) return version;
  version = std::make_shared<Version>(Version{trace.Path(path), stamp, std::nullopt, false});
  version->digest = store_.KnownDigest(version->path, stamp);
  if (!version->digest.has_value()) unhashed_[{stamp.dev, stamp.ino}].push_back(version);
  return version;
}

void BuildRecorder::Impl::Resolve(Version* version) {
  if (version->digest.has_value() || version->lost) return;
  const absl::StatusOr<Digest> digest = store_.DigestOfPath(version->path, version->stamp, /*keep=*/false);
  if (digest.ok()) {
    version->digest = *digest;
  } else {
    version->lost = true;
  }
}

void BuildRecorder::Impl::SettleReaders(const FileState& state) {
  if (state.type != v1::FILE_REGULAR) return;
  const auto found = unhashed_.find({state.stamp.dev, state.stamp.ino});
  if (found == unhashed_.end()) return;
  for (const std::shared_ptr<Version>& version : found->second) {
    if (version.use_count() > 1) Resolve(version.get());
  }
  unhashed_.erase(found);
}

void BuildRecorder::Impl::CountMode(Scope* scope, PathId path) {
  for (; scope != nullptr; scope = scope->parent) {
    for (const bool nofollow : {false, true}) {
      const auto seen = scope->seen.find(Scope::Key(path, nofollow));
      if (seen == scope->seen.end()) continue;
      seen->second.weight |= kMode;
      seen->second.replaced = false;
    }
  }
}

void BuildRecorder::Impl::Observe(Scope* scope, PathId path, bool nofollow, Seen seen, const Trace& trace) {
  const bool opened = (seen.weight & kContent) != 0 && seen.type != v1::FILE_ABSENT;
  if (!opened && !seen.replaced && (seen.weight & kListing) == 0) {
    scope->looked.insert(path);
    NoteLook(scope, path, scope->command);
  }
  ObserveUp(scope, path, nofollow, std::move(seen), trace);
}

void BuildRecorder::Impl::ObserveUp(Scope* scope, PathId path, bool nofollow, Seen seen, const Trace& trace) {
  seen.order = ++order_;
  Trace* const paths = const_cast<Trace*>(&trace);
  bool untouched = IsUntouched(*scope, path);
  for (; scope != nullptr; scope = scope->parent, seen.weight &= ~uint32_t{kTimes}) {
    if (const PathId place = ThroughOwnLinks(*scope, path, nofollow, paths); place != path) {
      path = place;
      untouched = false;
      if (!Counts(scope, trace.Path(path))) return;
      if (seen.version != nullptr) seen.version = VersionOf(path, seen.stamp, trace);
    }
    // What it made itself is nothing that it finds; and who is above has made it too. A directory whose mode it has set
    // still has the names that were in it.
    const auto changed = untouched ? scope->changed.end() : scope->changed.find(path);
    const bool lists = seen.listing != nullptr && changed != scope->changed.end() && changed->second.in_place;
    if (changed != scope->changed.end() && !lists) {
      const bool at_mode = (seen.weight & (kStatus | kMode)) != 0;
      if (at_mode && seen.type == v1::FILE_REGULAR && !changed->second.mode_set) CountMode(scope, path);
      return;
    }
    if (IsUnderMade(*scope, path, paths)) {
      if (seen.type == v1::FILE_ABSENT || trace.Path(path).ends_with("/..")) return;
      // In a directory of its own is what nobody in it has made.
      for (; scope != nullptr; scope = scope->parent) {
        if (!IsUnderMade(*scope, path, paths) || scope->changed.contains(path)) break;
        scope->Taint(v1::Decision::REASON_CHANGED, "something was made by others in its directory", trace.Path(path));
      }
      return;
    }
    if (scope->IsTainted()) continue;
    const auto [found, fresh] = scope->seen.try_emplace(Scope::Key(path, nofollow), seen);
    if (fresh) continue;
    Seen& before = found->second;
    if (!IsSame(before, seen)) {
      scope->Taint(v1::Decision::REASON_CHANGED, "a file was changed by others while it ran", trace.Path(path));
      continue;
    }
    if (AddsNothing(before, seen) && untouched) return;  // Those above were told when it was.
    if ((seen.weight & kTimesBelow) != 0) before.CountTimesBelow(seen.aged_by);
    before.weight |= seen.weight;
    before.replaced = before.replaced && seen.replaced;
    if (before.only_by != seen.only_by) before.only_by = 0;
    if (seen.target.size() > before.target.size()) before.target = seen.target;
    if (seen.listing != nullptr && before.listing == nullptr) {
      before.listing = seen.listing;
      before.without = seen.without;
      before.order = seen.order;
    }
    if (before.version == nullptr) before.version = seen.version;
  }
}

void BuildRecorder::Impl::ObserveState(Scope* scope, PathId path, bool nofollow, const FileState& state,
                                       uint32_t weight, const Trace& trace) {
  Seen seen;
  seen.type = state.type;
  seen.weight = weight;
  seen.stamp = state.stamp;
  seen.error = state.error;
  if (state.type == v1::FILE_SYMLINK) seen.target = state.target;
  if (state.type == v1::FILE_REGULAR && (weight & (kContent | kStatus)) != 0) {
    seen.version = VersionOf(path, state.stamp, trace);
    CheckReadHazard(scope, path, trace);
    if ((weight & kContent) != 0) NoteDraftRead(scope, scope->command, path, state, trace);
  }
  if (state.type == v1::FILE_DIRECTORY && (weight & kListing) != 0) {
    seen.listing = std::make_shared<const Listing>(List(trace.Path(path)));
  }
  Observe(scope, path, nofollow, std::move(seen), trace);
}

void BuildRecorder::Impl::ObserveNow(Scope* scope, PathId path, bool nofollow, uint32_t weight, const Trace& trace) {
  ObserveState(scope, path, nofollow, StateOf(trace.Path(path), nofollow), weight, trace);
}

void BuildRecorder::Impl::ObserveError(Scope* scope, PathId path, bool nofollow, int32_t error, uint32_t weight,
                                       const Trace& trace) {
  if (error == ENOENT || error == ENOTDIR) {
    Seen seen;
    seen.weight = weight;
    if (error == ENOTDIR) {
      // Where something is there for all that, in the middle of a path say, it is that which was looked at.
      const FileState state = StateOf(trace.Path(path), nofollow);
      if (state.type != v1::FILE_ABSENT) seen.weight = kExistence;
      seen.type = state.type;
      seen.stamp = state.stamp;
      seen.error = state.error;
    }
    return Observe(scope, path, nofollow, std::move(seen), trace);
  }
  if (error == EACCES || error == EPERM || error == EEXIST || error == EISDIR || error == EINVAL || error == ENODATA ||
      error == ENOTSUP || error == EROFS || error == ETXTBSY || error == ENOTEMPTY || error == ENOEXEC ||
      error == ENXIO || error == ELOOP || error == ENAMETOOLONG || error == EXDEV) {
    return ObserveNow(scope, path, nofollow, kMode, trace);
  }
  TaintUp(scope, v1::Decision::REASON_OTHER, "a call failed for a reason that may not come again", trace.Path(path));
}

void BuildRecorder::Impl::CheckReadHazard(Scope* scope, PathId path, const Trace& trace) {
  const std::vector<Scope*> writers = WritersBeside(*scope, path);
  if (writers.empty()) return;
  const std::string& name = trace.Path(path);
  totals_.add_hazards(absl::StrCat(absl::Utf8SafeCEscape(name), " was read while a command that writes it ran"));
  scope->Taint(v1::Decision::REASON_HAZARD, "a command that runs at the same time writes a file that it reads", name);
  for (Scope* writer : writers) {
    writer->Taint(v1::Decision::REASON_HAZARD, "a command that runs at the same time reads a file that it writes",
                  name);
  }
}

}  // namespace ocpwatch
