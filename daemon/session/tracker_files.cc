// Calls on paths: what each of them says about files.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>

#include "daemon/session/path.h"
#include "daemon/session/tracker_impl.h"

namespace ocpwatch {

namespace {

// The kernel refuses longer ones (ENAMETOOLONG), so they name nothing.
constexpr size_t kMaxPathOfCall = 4096;

// Linux's own bits: the C library gives O_TMPFILE only together with O_DIRECTORY.
constexpr uint32_t kTmpFileBit = O_TMPFILE & ~O_DIRECTORY;

bool IsDirectory(const v1::AfterCall& call) { return call.has_stat() && S_ISDIR(call.stat().mode()); }
uint32_t DirectoryBit(const v1::AfterCall& call) { return BitsIf(IsDirectory(call), kDirectory); }

// "/proc/self/fd/7" -> 7, by which linkat gives a nameless file its name; else -1.
int64_t DescriptorOfProcPath(std::string_view path) {
  constexpr std::string_view kPrefix = "/proc/self/fd/";
  if (!path.starts_with(kPrefix)) return -1;
  path.remove_prefix(kPrefix.size());
  int32_t fd = -1;
  const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), fd);
  return error == std::errc() && end == path.data() + path.size() ? fd : -1;
}

}  // namespace

PathId Tracker::Impl::Resolve(const Process& process, std::string_view path, int64_t fd) {
  if (path.empty()) {
    const Descriptor* const descriptor = process.descriptors.Find(fd);
    return descriptor == nullptr ? kNoPath : descriptor->path;
  }
  if (path.size() >= kMaxPathOfCall) return kNoPath;
  PathId base = process.cwd;
  if (path.front() != '/' && fd != AT_FDCWD) {
    const Descriptor* const directory = process.descriptors.Find(fd);
    if (directory == nullptr || directory->path == kNoPath) return kNoPath;
    base = directory->path;
  }
  if (!ResolvePath(trace_.Path(process.root), trace_.Path(base), path, &resolved_)) {
    NoteGap("There were paths too long to be kept.");
    return kNoPath;
  }
  return trace_.Intern(resolved_);
}

bool SaysMissing(v1::Op op, uint32_t flags, int32_t error) {
  if (error != ENOTDIR) return error == ENOENT;
  switch (op) {
    case v1::OP_CHDIR:
    case v1::OP_CHROOT:
    case v1::OP_LIST:
    case v1::OP_OPEN_DIR:
    case v1::OP_RMDIR:
      return false;
    case v1::OP_UNLINK:
      return (flags & AT_REMOVEDIR) == 0;
    case v1::OP_OPEN:
      return (flags & O_DIRECTORY) == 0;
    default:
      return true;
  }
}

void Tracker::Impl::Use(const Context& context, PathId path, uint32_t kinds, int32_t error, v1::Op op, uint32_t flags) {
  if (path == kNoPath) return;
  if (context.applied.path == kNoPath) context.applied.path = path;
  if (SaysMissing(op, flags, error)) {
    kinds = kMissing;
  } else if (error == EEXIST) {
    kinds = kDenied | kChecked;
  } else if (error != 0) {
    kinds = kDenied;
  }
  trace_.AddUse(context.process.command, path, kinds, context.time_ns, error);
}

void Tracker::Impl::OnFileCall(const Context& context, v1::Op op, const v1::AfterCall& call) {
  Process& process = context.process;
  switch (op) {
    case v1::OP_OPEN:
    case v1::OP_REOPEN:
      return OnOpen(context, call);
    case v1::OP_RENAME:
      return OnRename(context, call);
    case v1::OP_LINK:
      return OnLink(context, call);
    case v1::OP_TEMP_FILE:
    case v1::OP_TEMP_NAME:
    case v1::OP_TEMP_DIR:
      return OnTemporary(context, op, call);
    case v1::OP_READ:
      return call.error() == 0 ? OnContent(context, call.fd(), kRead) : void();
    case v1::OP_WRITE:
      return call.error() == 0 ? OnContent(context, call.fd(), kWritten) : void();
    case v1::OP_COPY:
      if (call.error() != 0) return;
      OnContent(context, call.fd(), kRead);
      return OnContent(context, call.fd2(), kWritten);
    case v1::OP_MAP:
      if (call.error() != 0 || call.fd() < 0) return;
      return OnContent(context, call.fd(),
                       (call.flags() & MAP_SHARED) != 0 && (call.mode() & PROT_WRITE) != 0 ? kWritten : kRead);
    case v1::OP_SYMLINK: {
      const PathId link = call.path2().empty() ? kNoPath : Resolve(process, call.path2(), call.fd2());
      return Use(context, link, kWritten | kCreated, call.error());
    }
    case v1::OP_LOAD: {
      const std::string& file = call.result_path();
      if (call.error() == 0 && !file.empty()) return Use(context, Resolve(process, file, AT_FDCWD), kRead | kLoaded, 0);
      // A name without a slash was searched for by the loader, unseen.
      if (call.error() != 0 && call.path().find('/') != std::string::npos) {
        Use(context, Resolve(process, call.path(), AT_FDCWD), kMissing, call.error());
      }
      return;
    }
    default:
      break;
  }

  // The rest is about one path, or one descriptor. stat and its like of "" are about the directory they start from.
  PathId path = Resolve(process, call.path(), call.fd());
  if (call.path().empty()) {
    if (call.error() == ENOENT) return;  // An empty path names nothing.
    if (call.fd() == AT_FDCWD && (call.flags() & AT_EMPTY_PATH) != 0 && op == v1::OP_STAT) path = process.cwd;
  } else if (path == kNoPath && call.error() == 0) {
    NoteGap("There were paths relative to descriptors that were open before the session or came from elsewhere.");
  }
  uint32_t kinds = 0;
  switch (op) {
    case v1::OP_STAT:
      kinds = kChecked | DirectoryBit(call);
      break;
    case v1::OP_ACCESS:
    case v1::OP_READLINK:
    case v1::OP_CONNECT:
      kinds = kChecked;
      break;
    case v1::OP_REALPATH:
      if (call.error() == 0 && !call.result_path().empty()) {
        const PathId real = Resolve(process, call.result_path(), AT_FDCWD);
        trace_.AddUse(process.command, real, kChecked, context.time_ns);
        context.applied.path2 = real;
      }
      kinds = kChecked;
      break;
    case v1::OP_LIST:
    case v1::OP_OPEN_DIR:
      kinds = kListed | kDirectory;
      // A LIST says 0 where there is no descriptor, and more only in logs of before OPEN_DIR.
      if (call.error() == 0 && call.result() >= (op == v1::OP_LIST ? 1 : 0) && !call.path().empty() &&
          path != kNoPath) {
        process.descriptors.Set(call.result(), {.path = path,
                                                .opener = process.number,
                                                .command = process.command,
                                                .readable = true,
                                                .close_on_exec = true,
                                                .directory = true});
      }
      break;
    case v1::OP_MKDIR:
      kinds = kWritten | kCreated | kDirectory;
      break;
    case v1::OP_MKNOD:
      kinds = kWritten | kCreated;
      break;
    case v1::OP_RMDIR:
      kinds = kRemoved | kDirectory;
      break;
    case v1::OP_UNLINK:
      kinds = kRemoved | BitsIf((call.flags() & AT_REMOVEDIR) != 0, kDirectory);
      break;
    case v1::OP_CHMOD:
    case v1::OP_CHOWN:
    case v1::OP_UTIMES:
    case v1::OP_SET_XATTR:
      kinds = kAttributes;
      break;
    case v1::OP_TRUNCATE:
      kinds = kWritten | kAttributes;
      break;
    case v1::OP_GET_XATTR: {
      // ENODATA and its like say that the file is there.
      const bool there = call.error() != ENOENT && call.error() != ENOTDIR && call.error() != EACCES;
      return Use(context, path, kChecked, there ? 0 : call.error());
    }
    case v1::OP_CHDIR:
    case v1::OP_CHROOT:
      kinds = kChecked | kDirectory;
      break;
    default:  // OP_WALK, whose accesses follow as calls, and what has no path.
      if (!call.path().empty() && op != v1::OP_WALK) context.applied.path = path;
      return;
  }
  Use(context, path, kinds, call.error(), op, call.flags());
  if (call.error() == 0 && path != kNoPath) {
    if (op == v1::OP_CHDIR) process.cwd = path;
    if (op == v1::OP_CHROOT) process.root = path;
  } else if (call.error() == 0 && op == v1::OP_CHDIR) {
    NoteGap("A process changed to a directory of which the path is not known.");
  }
}

void Tracker::Impl::OnOpen(const Context& context, const v1::AfterCall& call) {
  Process& process = context.process;
  const bool reopen = OpOf(call.function()) == v1::OP_REOPEN;
  if (call.path().empty()) return;  // Names nothing; freopen(NULL) changes only the mode.
  if (reopen) process.descriptors.Close(call.fd2());
  const PathId path = Resolve(process, call.path(), call.fd());
  if (call.error() != 0) return Use(context, path, kDenied, call.error(), v1::OP_OPEN, call.flags());
  if (path == kNoPath) {
    NoteGap("There were paths relative to descriptors that were open before the session or came from elsewhere.");
    process.descriptors.Close(call.result());
    return;
  }
  const uint32_t flags = call.flags();
  const uint32_t access = flags & O_ACCMODE;
  Descriptor descriptor{.path = path,
                        .opener = process.number,
                        .command = process.command,
                        .readable = access == O_RDONLY || access == O_RDWR,
                        .writable = access == O_WRONLY || access == O_RDWR,
                        .close_on_exec = (flags & O_CLOEXEC) != 0};
  uint32_t kinds = 0;
  if ((flags & O_PATH) != 0) {
    kinds = kChecked | DirectoryBit(call) | BitsIf((flags & O_DIRECTORY) != 0, kDirectory);
    descriptor.readable = descriptor.writable = false;
    descriptor.directory = (kinds & kDirectory) != 0;
  } else if ((flags & kTmpFileBit) != 0) {
    kinds = kChecked | kDirectory;
    descriptor.path = kNoPath;
  } else if (IsDirectory(call) || (flags & O_DIRECTORY) != 0) {
    kinds = kChecked | kDirectory;
    descriptor.directory = true;
  } else {
    const bool truncates = (flags & O_TRUNC) != 0;
    if (descriptor.readable && !truncates) kinds |= kRead;
    if (descriptor.writable || truncates) kinds |= kWritten;
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) kinds |= kCreated | kWritten;
  }
  context.applied.path = path;
  Use(context, path, kinds, 0);
  process.descriptors.Set(call.result(), descriptor);
}

void Tracker::Impl::OnRename(const Context& context, const v1::AfterCall& call) {
  if (call.path().empty() || call.path2().empty()) return;
  const PathId from = Resolve(context.process, call.path(), call.fd());
  const PathId to = Resolve(context.process, call.path2(), call.fd2());
  context.applied.path = from;
  context.applied.path2 = to;
  const bool exchange = (call.flags() & RENAME_EXCHANGE) != 0;
  // Of a failure it is not said which of the two it was about; the first is what is looked for.
  Use(context, from, exchange ? kWritten : kRemoved, call.error() == EEXIST ? EPERM : call.error());
  if (call.error() == 0) Use(context, to, kWritten, 0);
  if (call.error() == EEXIST) Use(context, to, kDenied, EEXIST);
}

void Tracker::Impl::OnLink(const Context& context, const v1::AfterCall& call) {
  Process& process = context.process;
  if (call.path2().empty()) return;
  const PathId to = Resolve(process, call.path2(), call.fd2());
  const int64_t by_proc = DescriptorOfProcPath(call.path());
  const int64_t source_fd = call.path().empty() ? call.fd() : by_proc;
  const Descriptor* const source = process.descriptors.Find(source_fd);
  context.applied.path2 = to;
  if (source != nullptr && source->path == kNoPath) {  // O_TMPFILE gets its name.
    Use(context, to, kWritten | kCreated, call.error());
    if (call.error() == 0) {
      Descriptor named = *source;
      named.path = to;
      process.descriptors.Set(source_fd, named);
    }
    return;
  }
  const PathId from = source != nullptr ? source->path : Resolve(process, call.path(), call.fd());
  context.applied.path = from;
  if (call.error() == EEXIST) return Use(context, to, kDenied, EEXIST);
  Use(context, from, kRead | kChecked, call.error());
  if (call.error() == 0) Use(context, to, kWritten | kCreated, 0);
}

void Tracker::Impl::OnTemporary(const Context& context, v1::Op op, const v1::AfterCall& call) {
  Process& process = context.process;
  if (call.error() != 0) return;
  const PathId path = call.result_path().empty() ? kNoPath : Resolve(process, call.result_path(), AT_FDCWD);
  if (op == v1::OP_TEMP_NAME) return Use(context, path, kMissing, ENOENT);
  if (op == v1::OP_TEMP_DIR) return Use(context, path, kWritten | kCreated | kDirectory, 0);
  Use(context, path, kWritten | kCreated, 0);
  process.descriptors.Set(call.result(), {.path = path,
                                          .opener = process.number,
                                          .command = process.command,
                                          .readable = true,
                                          .writable = true,
                                          .close_on_exec = (call.flags() & O_CLOEXEC) != 0});
}

void Tracker::Impl::OnContent(const Context& context, int64_t fd, uint32_t kind) {
  const Descriptor* const descriptor = context.process.descriptors.Find(fd);
  if (descriptor == nullptr || descriptor->directory) return;
  const uint32_t inherited = BitsIf(descriptor->command != context.process.command, kInherited);
  Use(context, descriptor->path, kind | inherited, 0);
}

}  // namespace ocpwatch
