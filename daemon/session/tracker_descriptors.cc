// Descriptors: what closes, copies and passes them on.
#include <fcntl.h>
#include <linux/close_range.h>

#include <cerrno>

#include "daemon/session/tracker_impl.h"

namespace ocpwatch {

void Tracker::Impl::OnDescriptorCall(const Context& context, v1::Op op, const v1::AfterCall& call) {
  Process& process = context.process;
  DescriptorTable& descriptors = process.descriptors;
  if (op != v1::OP_NEW_FD && op != v1::OP_CLOSE_RANGE) {
    if (const Descriptor* const descriptor = descriptors.Find(call.fd()); descriptor != nullptr) {
      context.applied.path = descriptor->path;
    }
  }
  if (op == v1::OP_CLOSE) return descriptors.Close(call.fd());  // Also after EINTR; after EBADF there is none.
  if (call.error() != 0) return;
  switch (op) {
    case v1::OP_CLOSE_RANGE: {
      // closefrom has no last one: its fd2 is AT_FDCWD, which as unsigned is beyond all.
      const auto first = static_cast<uint32_t>(call.fd());
      const auto last = static_cast<uint32_t>(call.fd2());
      if ((call.flags() & CLOSE_RANGE_CLOEXEC) != 0) return descriptors.SetCloseOnExecRange(first, last);
      return descriptors.CloseRange(first, last);
    }
    case v1::OP_DUP:
      return descriptors.Duplicate(call.fd(), call.result(), (call.flags() & O_CLOEXEC) != 0);
    case v1::OP_FCNTL:
      switch (call.flags()) {
        case F_DUPFD:
        case F_DUPFD_CLOEXEC:
          return descriptors.Duplicate(call.fd(), call.result(), call.flags() == F_DUPFD_CLOEXEC);
        case F_SETFD:
          return descriptors.SetCloseOnExec(call.fd(), (call.value() & FD_CLOEXEC) != 0);
        default:
          return;
      }
    case v1::OP_NEW_FD:
      descriptors.Close(call.result());
      descriptors.Close(call.fd2());
      return;
    case v1::OP_FD_FLAGS:
      return descriptors.SetCloseOnExec(call.fd(), (call.flags() & O_CLOEXEC) != 0);
    default:
      return;
  }
}

void Tracker::Impl::OnFileAction(const Context& context, FileAction::Kind kind, const v1::AfterCall& call) {
  using Kind = FileAction::Kind;
  if (call.error() != 0 || kind == Kind::kNone) return;
  auto& objects = context.process.actions;
  if (kind == Kind::kInit || kind == Kind::kDestroy) {
    if (objects != nullptr) objects->erase(call.object());
    return;
  }
  if (objects == nullptr) objects = std::make_unique<absl::flat_hash_map<uint64_t, std::vector<FileAction>>>();
  if (objects->size() >= kMaxActionObjects && !objects->contains(call.object())) {
    NoteGap("A program has more spawn file actions than are followed.");
    return;
  }
  std::vector<FileAction>& actions = (*objects)[call.object()];
  if (actions.size() >= kMaxActions) {
    NoteGap("A program has more spawn file actions than are followed.");
    return;
  }
  actions.push_back({.kind = kind, .fd = call.fd(), .fd2 = call.fd2(), .flags = call.flags(), .path = call.path()});
}

void Tracker::Impl::ApplyFileActions(const Context& child, const std::vector<FileAction>& actions) {
  using Kind = FileAction::Kind;
  Process& process = child.process;
  DescriptorTable& descriptors = process.descriptors;
  for (const FileAction& action : actions) {
    switch (action.kind) {
      case Kind::kOpen: {
        const PathId path = action.path.empty() ? kNoPath : Resolve(process, action.path, AT_FDCWD);
        descriptors.Close(action.fd);
        if (path == kNoPath) break;
        const uint32_t access = action.flags & O_ACCMODE;
        const Descriptor opened{.path = path,
                                .opener = process.number,
                                .command = process.command,
                                .readable = access != O_WRONLY,
                                .writable = access != O_RDONLY};
        uint32_t kinds = BitsIf(opened.readable && (action.flags & O_TRUNC) == 0, kRead);
        if (opened.writable || (action.flags & O_TRUNC) != 0) kinds |= kWritten;
        trace_.AddUse(process.command, path, kinds, child.time_ns);
        descriptors.Set(action.fd, opened);
        break;
      }
      case Kind::kClose:
        descriptors.Close(action.fd);
        break;
      case Kind::kDup2:
        if (action.fd == action.fd2) {
          descriptors.SetCloseOnExec(action.fd, false);  // So says POSIX of this case.
        } else {
          descriptors.Duplicate(action.fd, action.fd2, false);
        }
        break;
      case Kind::kChdir:
      case Kind::kFchdir: {
        PathId directory = kNoPath;
        if (action.kind == Kind::kFchdir) {
          directory = Resolve(process, "", action.fd);
        } else if (!action.path.empty()) {
          directory = Resolve(process, action.path, AT_FDCWD);
        }
        if (directory != kNoPath) process.cwd = directory;
        break;
      }
      case Kind::kCloseFrom:
        descriptors.CloseRange(static_cast<uint32_t>(action.fd), UINT32_MAX);
        break;
      case Kind::kNone:
      case Kind::kInit:
      case Kind::kDestroy:
        break;
    }
  }
}

}  // namespace ocpwatch
