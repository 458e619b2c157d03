// Descriptors that a command has inherited and that its calls are about: pipes, terminals, inputs that others read on
// from, and the file that the output of the whole session goes to.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "daemon/build/recorder_impl.h"

namespace ocpwatch {

void BuildRecorder::Impl::CheckOwnOutput(Scope* scope, const v1::FileStat& stat, PathId path, const Trace& trace) {
  const Scope* root = scope;
  while (root->parent != nullptr) root = root->parent;
  const auto& open = root->start.open;
  const bool own = std::any_of(open.begin(), open.end(), [&](const OpenDescriptor& output) {
    return output.fd != STDIN_FILENO && output.kind == OpenDescriptor::Kind::kFile && output.writable() &&
           output.dev == stat.dev() && output.ino == stat.ino();
  });
  if (!own) return;
  const std::string& name = trace.Path(path);
  totals_.add_hazards(absl::StrCat(absl::Utf8SafeCEscape(name), " was read while the output of the build goes there"));
  TaintUp(scope, v1::Decision::REASON_HAZARD, "it read the file that the output of the build goes to", name);
}

void BuildRecorder::Impl::OnInheritedUse(Scope* scope, uint32_t number, int32_t fd, const v1::AfterCall* read,
                                         FollowedModel model) {
  const Process* const process = model.tracker.processes().Find(number);
  if (process == nullptr) return;
  if (read != nullptr && read->has_stat() && S_ISREG(read->stat().mode())) NoteInputUse(scope, FromStat(read->stat()));
  const Descriptor* const opened = process->descriptors.Find(fd);
  // A file: its open says all. What has been opened by the name of a descriptor is that descriptor.
  const std::string& path = opened == nullptr || opened->path == kNoPath ? "" : model.trace.Path(opened->path);
  if (path == kTerminalPath) return TaintUp(scope, v1::Decision::REASON_TERMINAL, "it used the terminal", path);
  if (opened != nullptr && !DescriptorNamed(path, process->pid).has_value()) return;
  OpenDescriptor used;
  bool known = false;
  using Kind = OpenDescriptor::Kind;
  const auto says_all = [](Kind kind) {
    return kind == Kind::kNull || kind == Kind::kFile || kind == Kind::kDirectory;
  };
  if (read != nullptr && read->has_stat()) {
    // The process itself says what it was: by now it may have ended.
    used = FromStat(read->stat());
    known = true;
    if (says_all(used.kind)) return;
  } else {
    for (const OpenDescriptor& open : DescriptorsOf(process->pid)) {
      if (open.fd != fd) continue;
      used = open;
      known = true;
    }
  }
  if (known && says_all(used.kind)) {
    // So it is by now; what it was when the call was made may have been the inherited one.
    const auto& open = scope->start.open;
    const auto first = std::find_if(open.begin(), open.end(), [&](const OpenDescriptor& one) { return one.fd == fd; });
    if (first == open.end() || says_all(first->kind)) return;
    used = *first;
  }
  if (!known && fd > STDIN_FILENO) return;
  TaintUsers(scope, known ? &used : nullptr, read != nullptr, fd);
}

void BuildRecorder::Impl::NoteInputUse(Scope* scope, const OpenDescriptor& used) {
  for (; scope != nullptr; scope = scope->parent) {
    for (SharedInput& input : scope->start.inputs) {
      input.used = input.used || (input.dev == used.dev && input.ino == used.ino);
    }
  }
}

void BuildRecorder::Impl::TaintUsers(Scope* scope, const OpenDescriptor* used, bool read, int32_t fd) {
  // Which of the inherited ones it is: by number, or if the process has moved it, by what it leads to.
  const auto inherited = [&](const Scope& of) {
    const auto& open = of.start.open;
    return std::any_of(open.begin(), open.end(), [&](const OpenDescriptor& one) { return one.SameAs(*used); });
  };
  // What it writes to is recorded where it leads to the relay; a jobserver's pipe does not.
  for (Scope* above = scope; above != nullptr; above = above->parent) {
    if (used != nullptr && !inherited(*above)) return;  // Made by this one, for those below.
    if (!read && used != nullptr) {
      const auto& outputs = above->start.outputs;
      const auto leads_there = [&](const OutputGroup& group) {
        return group.dev == used->dev && group.ino == used->ino;
      };
      if (std::any_of(outputs.begin(), outputs.end(), leads_there)) return;
    }
    using Kind = OpenDescriptor::Kind;
    const Kind kind = used != nullptr ? used->kind : Kind::kPipe;
    const char* const what = kind == Kind::kTerminal ? " a terminal" : kind == Kind::kFile ? " a file" : " a pipe";
    above->Taint(v1::Decision::REASON_TERMINAL, absl::StrCat("it ", read ? "read from" : "wrote to", what,
                                                             " that comes from outside of it (descriptor ", fd, ")"));
  }
}

void BuildRecorder::Impl::OnOpenedByDescriptor(Scope* scope, const v1::AfterCall& call, const DescriptorName& name,
                                               const Process& process, const Trace& trace) {
  if (!name.own) {
    return TaintUp(scope, v1::Decision::REASON_OTHER, "it opened what another process had open", call.path());
  }
  const bool writes = (call.flags() & O_ACCMODE) != O_RDONLY;
  if (const Descriptor* const own = process.descriptors.Find(name.fd); own != nullptr && own->path != kNoPath) {
    // Opened once more, perhaps for what it was not open for (O_PATH).
    if (!Counts(scope, trace.Path(own->path))) return;
    if (writes && !own->writable) {
      return TaintUp(scope, v1::Decision::REASON_UNSEEN, "it opened a file for writing by its descriptor",
                     trace.Path(own->path));
    }
    if (!writes) return ObserveNow(scope, own->path, /*nofollow=*/false, kContent, trace);
  }
  const auto& open = scope->start.open;
  const auto first =
      std::find_if(open.begin(), open.end(), [&](const OpenDescriptor& one) { return one.fd == name.fd; });
  if (!call.has_stat() && first == open.end()) return;  // Its own.
  const OpenDescriptor used = call.has_stat() ? FromStat(call.stat()) : *first;
  if (used.kind == OpenDescriptor::Kind::kNull || used.kind == OpenDescriptor::Kind::kDirectory) return;
  TaintUsers(scope, &used, !writes || (call.flags() & O_ACCMODE) == O_RDWR, name.fd);
}

}  // namespace ocpwatch
