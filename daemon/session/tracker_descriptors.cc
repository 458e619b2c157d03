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

void Tracker::Impl::OnFileAction(const Context& context, const v1::AfterCall& call) {
  const auto number = static_cast<int>(call.value());
  if (call.error() != 0 || call.value() != number || !v1::FileAction_IsValid(number)) return;
  const auto kind = static_cast<v1::FileAction>(number);
  if (kind == v1::FILE_ACTION_OTHER) return;
  auto& objects = context.process.actions;
  if (kind == v1::FILE_ACTION_INIT || kind == v1::FILE_ACTION_DESTROY) {
    if (objects != nullptr) objects->erase(call.object());
    return;
  }
  if (objects == nullptr) objects = std::make_unique<absl::flat_hash_map<uint64_t, std::vector<SpawnAction>>>();
  if (objects->size() >= kMaxActionObjects && !objects->contains(call.object())) {
    NoteGap("A program has more spawn file actions than are followed.");
    return;
  }
  std::vector<SpawnAction>& actions = (*objects)[call.object()];
  if (actions.size() >= kMaxActions) {
    NoteGap("A program has more spawn file actions than are followed.");
    return;
  }
  actions.push_back({.kind = kind, .fd = call.fd(), .fd2 = call.fd2(), .flags = call.flags(), .path = call.path()});
}

void Tracker::Impl::ApplyFileActions(const Context& child, const std::vector<SpawnAction>& actions) {
  Process& process = child.process;
  DescriptorTable& descriptors = process.descriptors;
  for (const SpawnAction& action : actions) {
    switch (action.kind) {
      case v1::FILE_ACTION_OPEN: {
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
      case v1::FILE_ACTION_CLOSE:
        descriptors.Close(action.fd);
        break;
      case v1::FILE_ACTION_DUP2:
        if (action.fd == action.fd2) {
          descriptors.SetCloseOnExec(action.fd, false);  // So says POSIX of this case.
        } else {
          descriptors.Duplicate(action.fd, action.fd2, false);
        }
        break;
      case v1::FILE_ACTION_CHDIR:
      case v1::FILE_ACTION_FCHDIR: {
        PathId directory = kNoPath;
        if (action.kind == v1::FILE_ACTION_FCHDIR) {
          directory = Resolve(process, "", action.fd);
        } else if (!action.path.empty()) {
          directory = Resolve(process, action.path, AT_FDCWD);
        }
        if (directory != kNoPath) process.cwd = directory;
        break;
      }
      case v1::FILE_ACTION_CLOSEFROM:
        descriptors.CloseRange(static_cast<uint32_t>(action.fd), UINT32_MAX);
        break;
      default:
        break;
    }
  }
}

}  // namespace ocpwatch
