// Which file the kernel means by a path: where it does not say so itself.
#include <fcntl.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "daemon/build/recorder_impl.h"
#include "daemon/session/path.h"

namespace ocpwatch {

namespace {

// The kernel's own bound for links on the way: path_resolution(7).
constexpr int kMaxHops = 40;

// What "/proc/self/cwd/", "/dev/fd/3/" and the like before a path stand for; nothing if it has none of them.
std::optional<std::string> ThroughProcess(const std::string& path, const Process& process, const Trace& trace) {
  absl::string_view rest = path;
  const bool named = absl::ConsumePrefix(&rest, absl::StrCat("/proc/", process.pid, "/"));
  const bool descriptor = !named && absl::ConsumePrefix(&rest, "/dev/fd/");
  if (!named && !descriptor && !absl::ConsumePrefix(&rest, "/proc/self/") &&
      !absl::ConsumePrefix(&rest, "/proc/thread-self/")) {
    return std::nullopt;
  }
  PathId base = kNoPath;
  if (absl::ConsumePrefix(&rest, "cwd")) {
    base = process.cwd;
  } else if (absl::ConsumePrefix(&rest, "root")) {
    base = process.root;
  } else if (descriptor || absl::ConsumePrefix(&rest, "fd/")) {
    const size_t end = rest.find('/');
    int32_t fd = -1;
    if (end == rest.npos || !absl::SimpleAtoi(rest.substr(0, end), &fd)) return std::nullopt;
    rest.remove_prefix(end);
    const Descriptor* const opened = process.descriptors.Find(fd);
    if (opened != nullptr && opened->directory) base = opened->path;
  }
  if (base == kNoPath || (!rest.empty() && rest.front() != '/')) return std::nullopt;
  return absl::StrCat(trace.Path(base) == "/" ? "" : trace.Path(base), rest);
}

// The first directory above `path` that is one of `known`, or, with `itself`, the path; kNoPath if there is none.
PathId FirstAbove(const absl::flat_hash_set<PathId>& known, PathId path, bool itself, Trace* trace) {
  if (known.empty()) return kNoPath;
  const std::string& name = trace->Path(path);
  for (size_t slash = name.find('/', 1); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    const PathId above = trace->Intern(name.substr(0, slash));
    if (known.contains(above)) return above;
  }
  return itself && known.contains(path) ? path : kNoPath;
}

}  // namespace

PathId BuildRecorder::Impl::Physical(Scope* scope, PathId path, std::string_view spelled, int64_t fd, uint32_t number,
                                     FollowedModel model) {
  Trace& trace = model.trace;
  const Process* const process = model.tracker.processes().Find(number);
  if (path == kNoPath || process == nullptr) return path;
  if (const auto through = ThroughProcess(trace.Path(path), *process, trace); through.has_value()) {
    path = trace.Intern(*through);
  }
  size_t dots = spelled.rfind("..");
  while (dots != std::string_view::npos) {
    const bool starts = dots == 0 || spelled[dots - 1] == '/';
    const bool ends = dots + 2 == spelled.size() || spelled[dots + 2] == '/';
    if (starts && ends) break;
    dots = dots == 0 ? std::string_view::npos : spelled.rfind("..", dots - 1);
  }
  if (dots == std::string_view::npos) return path;
  std::string prefix(spelled.substr(0, dots + 2));
  const bool only_up = fd == AT_FDCWD && prefix.find_first_not_of("./") == std::string::npos;
  if (prefix.front() != '/') {
    const Descriptor* const opened = fd == AT_FDCWD ? nullptr : process->descriptors.Find(fd);
    const PathId base = opened != nullptr ? opened->path : fd == AT_FDCWD ? process->cwd : kNoPath;
    if (base == kNoPath) return path;
    prefix = absl::StrCat(trace.Path(base), "/", prefix);
  }
  auto [known, fresh] = real_paths_.try_emplace(prefix);
  if (fresh) known->second = RealPath(prefix);
  // Where it led counts; of the working directory that is known already.
  const PathId above = only_up ? kNoPath : trace.Intern(prefix);
  if (!only_up && !scope->seen.contains(Scope::Key(above, false)) && Counts(scope, known->second)) {
    const FileState state = StateOf(prefix, /*nofollow=*/false);
    Seen seen;
    seen.type = state.type;
    seen.error = state.error;
    if (state.type == v1::FILE_DIRECTORY) seen.target = known->second;
    Observe(scope, above, /*nofollow=*/false, std::move(seen), trace);
  }
  std::string resolved;
  if (ResolvePath("/", "/", prefix, &resolved) && resolved == known->second) return path;
  const std::string rest(spelled.substr(dots + 2));
  if (!ResolvePath("/", "/", absl::StrCat(known->second, rest), &resolved)) return path;
  // Only where the spelling misleads: else the program's own spelling is kept.
  return RealPath(trace.Path(path)) == RealPath(resolved) ? path : trace.Intern(resolved);
}

bool BuildRecorder::Impl::IsUnderMade(const Scope& scope, PathId path, Trace* trace) {
  return FirstAbove(scope.made_directories, path, /*itself=*/false, trace) != kNoPath;
}

PathId BuildRecorder::Impl::ThroughOwnLinks(const Scope& scope, PathId path, bool nofollow, Trace* trace) {
  for (int hops = 0; hops < kMaxHops; ++hops) {
    const PathId link = FirstAbove(scope.made_links, path, !nofollow, trace);
    if (link == kNoPath) break;
    const FileState state = StateOf(trace->Path(link), /*nofollow=*/true);
    if (state.type != v1::FILE_SYMLINK) break;
    const std::string rest = trace->Path(path).substr(trace->Path(link).size());
    std::string directory = DirectoryOf(trace->Path(link));
    if (state.target.find("..") != std::string::npos) directory = RealPath(directory);
    std::string place;
    if (!ResolvePath("/", directory, state.target + rest, &place)) break;
    path = trace->Intern(place);
  }
  return path;
}

}  // namespace ocpwatch
