// What each call that has been made says of the files it was about.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "daemon/build/recorder_impl.h"

namespace ocpwatch {

namespace {

FileStamp StampOf(const v1::FileStat& stat) {
  return {stat.dev(), stat.ino(), stat.mode(), stat.size(), stat.mtime_ns(), stat.ctime_ns()};
}

// A shell opens it at its start only to close it again.
bool OnlyChecksTerminal(const v1::AfterCall& call) {
  return (call.flags() & O_ACCMODE) == O_RDWR && (call.flags() & O_NONBLOCK) != 0;
}

// Programs that write the time into what they make that fstat says of what they read.
constexpr std::string_view kTakeTimes[] = {"gzip", "pigz"};
bool TakesTimes(std::string_view executable) {
  const std::string_view name = executable.substr(executable.rfind('/') + 1);
  return std::find(std::begin(kTakeTimes), std::end(kTakeTimes), name) != std::end(kTakeTimes);
}

bool IsDirectoryOpen(const v1::AfterCall& call) {
  return (call.flags() & O_DIRECTORY) != 0 || (call.has_stat() && S_ISDIR(call.stat().mode()));
}

}  // namespace

void BuildRecorder::Impl::OnOpened(Scope* scope, const v1::AfterCall& call, PathId path, FollowedModel model) {
  if ((call.flags() & O_ACCMODE) == O_WRONLY && (call.flags() & O_PATH) == 0) return;
  if ((call.flags() & O_TRUNC) != 0) return;
  if ((call.flags() & O_PATH) != 0 || IsDirectoryOpen(call)) {
    return ObserveNow(scope, path, /*nofollow=*/false, kExistence, model.trace);
  }
  if (!call.has_stat()) return ObserveNow(scope, path, /*nofollow=*/false, kContent, model.trace);
  FileState state;
  state.stamp = StampOf(call.stat());
  state.type = TypeOf(state.stamp.mode);
  if (state.type == v1::FILE_OTHER) {
    return TaintUp(scope, v1::Decision::REASON_OTHER, "it opened a device, a socket or a named pipe",
                   model.trace.Path(path));
  }
  CheckOwnOutput(scope, call.stat(), path, model.trace);
  ObserveState(scope, path, /*nofollow=*/false, state, kContent, model.trace);
}

void BuildRecorder::Impl::OnAfter(Scope* scope, const v1::Frame& frame, const Applied& applied, FollowedModel model) {
  const v1::AfterCall& call = frame.after();
  const v1::Op op = OpOf(call.function());
  const uint64_t key = uint64_t{frame.process()} << 32 | call.id();
  Trace& trace = model.trace;
  if (op == v1::OP_EXEC || op == v1::OP_SPAWN) {
    requests_.erase(key);
    const bool failed = call.error() != 0 || (op == v1::OP_SPAWN && call.result() != 0);
    if (op == v1::OP_EXEC || failed) ForgetStart(op == v1::OP_EXEC ? frame.process() : call.child());
    if (failed && applied.path != kNoPath && Counts(scope, trace.Path(applied.path))) {
      ObserveError(scope, applied.path, /*nofollow=*/false, call.error(), kContent, trace);
      if (const Process* const process = model.tracker.processes().Find(frame.process()); process != nullptr) {
        ObserveInterpreters(scope, trace.Path(applied.path), trace.Path(process->cwd), model);
      }
    }
    return;
  }
  if (op == v1::OP_FORK) {
    if (call.error() != 0) {
      scope->forks.erase(call.child());
      forked_.erase(call.child());
    }
    return;
  }
  if (op == v1::OP_RAW && call.error() != ENOSYS) {
    return TaintUp(scope, v1::Decision::REASON_OPAQUE, absl::StrCat("it made system call ", call.value()));
  }
  if (call.opaque() != v1::OPAQUE_NONE && !(op == v1::OP_RAW && call.error() != 0)) {
    return TaintUp(scope, v1::Decision::REASON_OPAQUE, "it did what cannot be seen");
  }
  if (op == v1::OP_CONNECT && call.error() == 0) {
    return TaintUp(scope, v1::Decision::REASON_NETWORK, "it talked to another program over a socket",
                   applied.path == kNoPath ? "" : trace.Path(applied.path));
  }
  if (op == v1::OP_KILL && call.error() == 0 && call.object() != 0 && call.value() != 0) {
    return TaintUp(scope, v1::Decision::REASON_OTHER, "it sent a signal to another process");
  }
  if (op == v1::OP_CHROOT && call.error() == 0) {
    return TaintUp(scope, v1::Decision::REASON_OTHER, "it changed its root directory");
  }
  if (op == v1::OP_READ || op == v1::OP_WRITE) {
    return OnInheritedUse(scope, frame.process(), call.fd(), op == v1::OP_READ ? &call : nullptr, model);
  }
  if (op == v1::OP_COPY) {
    OnInheritedUse(scope, frame.process(), call.fd(), &call, model);
    return OnInheritedUse(scope, frame.process(), call.fd2(), nullptr, model);
  }

  Before before;
  const auto waiting = befores_.find(key);
  const bool looked_before = call.id() != 0 && waiting != befores_.end();
  if (looked_before) {
    before = std::move(waiting->second);
    befores_.erase(waiting);
  }
  const PathId path = looked_before && before.path != kNoPath
                          ? before.path
                          : Physical(scope, applied.path, call.path(), call.fd(), frame.process(), model);
  if ((op == v1::OP_LINK || op == v1::OP_RENAME) && call.error() == 0 &&
      (path == kNoPath || !Counts(scope, trace.Path(path)))) {
    // Something without a name gets one (O_TMPFILE, /proc/self/fd/3), or comes from where nothing counts.
    if (!looked_before) TaintUp(scope, v1::Decision::REASON_UNSEEN, "it changed a file before that could be looked at");
    Change change;
    change.mode_set = true;
    return MarkChanged(scope, looked_before ? before.path2 : applied.path2, change, &trace);
  }
  if (path == kNoPath) {
    if (call.error() == 0 && !call.path().empty() && Changes(op, call.flags())) {
      TaintUp(scope, v1::Decision::REASON_UNSEEN, "it changed a file by a path that could not be followed");
    }
    return;
  }
  // AT_SYMLINK_NOFOLLOW has the value of O_NOCTTY.
  const bool opens = op == v1::OP_OPEN || op == v1::OP_REOPEN;
  const bool nofollow = (call.flags() & (opens ? O_NOFOLLOW : AT_SYMLINK_NOFOLLOW)) != 0;
  if (opens && call.error() == 0) {
    const Process* const process = model.tracker.processes().Find(frame.process());
    const auto name = DescriptorNamed(trace.Path(path), process != nullptr ? process->pid : 0);
    if (name.has_value() && process != nullptr) return OnOpenedByDescriptor(scope, call, *name, *process, trace);
  }
  if (opens && trace.Path(path) == kTerminalPath && !OnlyChecksTerminal(call)) {
    return TaintUp(scope, v1::Decision::REASON_TERMINAL, "it used the terminal", trace.Path(path));
  }
  if (!Counts(scope, trace.Path(path))) return;

  if (Changes(op, call.flags())) {
    if (call.error() != 0) {
      if (!looked_before) ObserveError(scope, path, nofollow, call.error(), kContent, trace);
      if (opens && looked_before && before.state.type == v1::FILE_ABSENT) {
        Seen none;  // Had it been there, it could have been opened.
        none.weight = kContent;
        Observe(scope, path, /*nofollow=*/false, std::move(none), trace);
      }
      for (const PathId announced : before.announced) scope->about_to_write.erase(announced);
      // What was to be replaced, whatever it was, was in the way.
      for (const PathId each : {path, before.path2}) {
        if (each != kNoPath && call.error() != EEXIST) CountMode(scope, each);
      }
      // It may be for the directory's sake that nothing could be made there.
      for (const PathId each : {path, applied.path2}) {
        if (each != kNoPath && call.error() != EEXIST && call.error() != ENOTEMPTY && call.error() != EISDIR) {
          ObserveNow(scope, trace.Intern(DirectoryOf(trace.Path(each))), /*nofollow=*/false, kMode | kContent, trace);
        }
      }
      return;
    }
    if (!looked_before && !scope->changed.contains(path)) {
      TaintUp(scope, v1::Decision::REASON_UNSEEN, "it changed a file before that could be looked at", trace.Path(path));
    }
    AfterChange(scope, op, call, before, frame.process(), model);
    if (op == v1::OP_OPEN || op == v1::OP_REOPEN) OnOpened(scope, call, path, model);
    return;
  }
  if (call.error() != 0) {
    if (op == v1::OP_TEMP_FILE || op == v1::OP_TEMP_DIR || op == v1::OP_TEMP_NAME || op == v1::OP_WALK) return;
    const bool only_looks = op == v1::OP_STAT || op == v1::OP_ACCESS || op == v1::OP_REALPATH;
    const bool for_directory = opens && (call.flags() & O_PATH) != 0;  // `cp` does that to its target.
    return ObserveError(scope, path, nofollow || op == v1::OP_READLINK, call.error(),
                        only_looks      ? kExistence
                        : for_directory ? kIntoDirectory
                                        : kContent,
                        trace);
  }
  switch (op) {
    case v1::OP_OPEN:
    case v1::OP_REOPEN:
      return OnOpened(scope, call, path, model);
    case v1::OP_STAT: {
      if (call.path().empty()) {
        // Of what it has opened: besides the content its mode counts, which a copy may be given.
        const bool takes_times = TakesTimes(trace.Find(scope->command)->executable);
        for (Scope* above = scope; above != nullptr; above = above->parent) {
          if (above->IsTainted()) continue;
          const auto opened = above->seen.find(Scope::Key(path, /*nofollow=*/false));
          if (opened == above->seen.end()) return;
          if ((opened->second.weight & kContent) != 0) {
            opened->second.weight |= kMode;
          } else if (!above->changed.contains(path)) {
            opened->second.weight |= kStatus;  // Opened only to be looked at (O_PATH).
          }
          if (takes_times && above == scope) opened->second.weight |= kTimes;
        }
        return;
      }
      if (!call.has_stat()) return ObserveNow(scope, path, nofollow, kStatus | kTimes, trace);
      FileState state;
      state.stamp = StampOf(call.stat());
      state.type = TypeOf(state.stamp.mode);
      if (state.type == v1::FILE_SYMLINK) return ObserveNow(scope, path, nofollow, kStatus, trace);
      Seen seen;
      seen.type = state.type;
      seen.weight = kStatus | kTimes;
      seen.stamp = state.stamp;
      seen.only_by = frame.process();
      if (state.type == v1::FILE_REGULAR) {
        seen.version = VersionOf(path, state.stamp, trace);
        CheckReadHazard(scope, path, trace);
      }
      return Observe(scope, path, nofollow, std::move(seen), trace);
    }
    case v1::OP_ACCESS:
      return ObserveNow(scope, path, nofollow, kMode, trace);
    case v1::OP_GET_XATTR:
      if (call.result() > 0) {
        TaintUp(scope, v1::Decision::REASON_OTHER, "it read extended attributes", trace.Path(path));
      }
      return ObserveNow(scope, path, nofollow, kContent | kMode, trace);
    case v1::OP_LIST:
    case v1::OP_OPEN_DIR:
      if (call.id() == 0) ObserveNow(scope, path, /*nofollow=*/false, kListing, trace);
      return;
    case v1::OP_READLINK: {
      Seen seen;
      seen.type = v1::FILE_SYMLINK;
      seen.target = call.result_path();
      return Observe(scope, path, /*nofollow=*/true, std::move(seen), trace);
    }
    case v1::OP_REALPATH: {
      const FileState state = StateOf(trace.Path(path), /*nofollow=*/false);
      Seen seen;
      seen.type = state.type;
      seen.stamp = state.stamp;
      seen.target = call.result_path();
      return Observe(scope, path, /*nofollow=*/false, std::move(seen), trace);
    }
    case v1::OP_LOAD:
      return ObserveNow(scope, path, /*nofollow=*/false, kContent, trace);
    case v1::OP_CHDIR: {
      // From here on files are known by where the links on the way lead now.
      const std::string& name = trace.Path(path);
      const FileState state = StateOf(name, /*nofollow=*/false);
      Seen seen;
      seen.type = state.type;
      seen.stamp = state.stamp;
      seen.error = state.error;
      if (state.type == v1::FILE_DIRECTORY) seen.target = RealPath(name);
      return Observe(scope, path, /*nofollow=*/false, std::move(seen), trace);
    }
    case v1::OP_TEMP_NAME:
      return ObserveNow(scope, path, /*nofollow=*/true, kExistence, trace);
    case v1::OP_TEMP_FILE:
    case v1::OP_TEMP_DIR: {
      // It did not exist: the call makes sure of that.
      Observe(scope, path, /*nofollow=*/true, Seen(), trace);
      Change made;
      made.mode_set = true;
      made.is_directory = op == v1::OP_TEMP_DIR;
      scope->temporaries.push_back(path);
      return MarkChanged(scope, path, made, &trace);
    }
    default:
      return;
  }
}

}  // namespace ocpwatch
