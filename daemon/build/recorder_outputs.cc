// Where a command's words go: what they are captured with, and what of it is kept.
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/build/process_state.h"
#include "daemon/build/recorder_impl.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

namespace {

// The end of a process is heard of a moment before its descriptors are closed.
constexpr absl::Duration kLastWriterPatience = absl::Milliseconds(20);
// What a command wrote to a file that it inherited and that is kept with the record.
constexpr uint64_t kMaxFileOutput = uint64_t{1} << 30;

// `size` bytes of the file from `offset` on; empty if they cannot be read.
std::string ReadPart(const std::string& path, uint64_t offset, uint64_t size) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t part = pread(file.get(), bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (part <= 0) return "";
    done += static_cast<size_t>(part);
  }
  return bytes;
}

}  // namespace

std::vector<OutputGroup> BuildRecorder::Impl::GroupOutputs(const std::vector<OpenDescriptor>& open) {
  using Kind = OpenDescriptor::Kind;
  std::vector<OutputGroup> groups;
  for (const OpenDescriptor& descriptor : open) {
    const bool can_hold_words = descriptor.kind == Kind::kPipe || descriptor.kind == Kind::kTerminal ||
                                descriptor.kind == Kind::kSocket || descriptor.kind == Kind::kFile;
    if (!descriptor.writable() || !can_hold_words || descriptor.fd == STDIN_FILENO) continue;
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const OutputGroup& group) {
      return group.kind == descriptor.kind && group.dev == descriptor.dev && group.ino == descriptor.ino;
    });
    if (same != groups.end()) {
      same->fds.push_back(descriptor.fd);
      continue;
    }
    // A pipe that is not its output or error is somebody's means of talking: a jobserver's. Its use is noticed.
    if (descriptor.fd > STDERR_FILENO && descriptor.kind != Kind::kFile) continue;
    OutputGroup group;
    group.fds = {descriptor.fd};
    group.kind = descriptor.kind;
    group.dev = descriptor.dev;
    group.ino = descriptor.ino;
    if (descriptor.kind == Kind::kFile) {
      group.path = descriptor.path;
      const FileState state = StateOf(descriptor.path, /*nofollow=*/false);
      group.start = state.type == v1::FILE_REGULAR ? state.stamp.size : 0;
      group.stamp = state.stamp;
      group.in_place = (descriptor.flags & O_APPEND) == 0 && descriptor.offset != group.start;
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

void BuildRecorder::Impl::FindHolders(const Process& source, uint32_t number, const std::vector<OpenDescriptor>& open,
                                      FollowedModel model, std::vector<OutputGroup>* groups) {
  for (OutputGroup& group : *groups) {
    if (group.kind != OpenDescriptor::Kind::kFile) continue;
    const auto first = std::find_if(
        open.begin(), open.end(), [&](const OpenDescriptor& descriptor) { return descriptor.fd == group.fds.front(); });
    if (first->source_fd < 0) continue;  // A file action opens it.
    const Descriptor* const opened = source.descriptors.Find(first->source_fd);
    group.unclear = opened == nullptr;
    if (group.unclear) continue;
    for (const Process* other : model.tracker.processes().InOrder()) {
      if (other->ended || other->number == number) continue;
      bool holds = false;
      other->descriptors.ForEach([&](int32_t, const Descriptor& descriptor) {
        holds = holds || (descriptor.writable && descriptor.path == opened->path);
      });
      if (holds) group.holders.push_back({other->number, other->pid, BytesWritten(other->pid)});
    }
    group.born = model.tracker.processes().made();
  }
}

void BuildRecorder::Impl::TellFileOutputs(FollowedModel model) const {
  const auto has_file = [](const Start& start) {
    return std::any_of(start.outputs.begin(), start.outputs.end(),
                       [](const OutputGroup& group) { return group.kind == OpenDescriptor::Kind::kFile; });
  };
  const bool any =
      std::any_of(starts_.begin(), starts_.end(), [&](const auto& start) { return has_file(start.second); }) ||
      std::any_of(scopes_.begin(), scopes_.end(), [&](const auto& scope) { return has_file(scope.second->start); });
  model.ring.file_outputs.store(any ? 1 : 0);
}

void BuildRecorder::Impl::SeparateDescriptions(int32_t pid, const std::vector<OpenDescriptor>& open,
                                               std::vector<OutputGroup>* groups) {
  for (OutputGroup& group : *groups) {
    if (group.kind != OpenDescriptor::Kind::kFile || group.fds.size() < 2) continue;
    int32_t first = -1;
    for (const OpenDescriptor& descriptor : open) {
      const bool ours = std::find(group.fds.begin(), group.fds.end(), descriptor.fd) != group.fds.end();
      if (!ours || descriptor.source_fd < 0 || (descriptor.flags & O_APPEND) != 0) continue;
      if (first < 0) first = descriptor.source_fd;
      if (syscall(SYS_kcmp, pid, pid, KCMP_FILE, first, descriptor.source_fd) > 0) group.unclear = true;
    }
  }
}

void BuildRecorder::Impl::Substitute(int32_t pid, const std::vector<OpenDescriptor>& open,
                                     std::vector<OutputGroup>* groups,
                                     google::protobuf::RepeatedPtrField<v1::Substitute>* substitutes) {
  if (relay_ == nullptr) return;
  for (OutputGroup& group : *groups) {
    if (group.kind == OpenDescriptor::Kind::kFile) continue;
    const auto first = std::find_if(
        open.begin(), open.end(), [&](const OpenDescriptor& descriptor) { return descriptor.fd == group.fds.front(); });
    const absl::StatusOr<Relay::Stream> stream = relay_->Open(pid, first->source_fd);
    if (!stream.ok()) continue;
    group.stream = stream->id;
    v1::Substitute& substitute = *substitutes->Add();
    for (const int32_t fd : group.fds) substitute.add_fds(fd);
    substitute.set_path(stream->path);
  }
}

// Who wrote which part of a file is not seen: stdio writes without a call that could be intercepted. But whoever has
// written nothing since the start, to wherever, has not written there; and neither has anybody whom he has started
// since. That the command has ended is heard of late: he may have gone on, and started others that have come and gone.
bool BuildRecorder::Impl::WroteAlone(const Scope& scope, const OutputGroup& group, FollowedModel model) {
  const ProcessTable& processes = model.tracker.processes();
  const auto is_holder = [&](const Process& process) {
    return std::any_of(group.holders.begin(), group.holders.end(),
                       [&](const OutputGroup::Holder& holder) { return holder.process == process.number; });
  };
  const auto is_started_by_holder = [&](const Process& process) {
    const Process* above = &process;
    while (above != nullptr && above->number != scope.process && !is_holder(*above)) {
      const Process* const parent = processes.Find(above->parent);
      above = parent != nullptr && parent->rank < above->rank ? parent : nullptr;
    }
    return above != nullptr && above->number != scope.process;
  };
  if (group.holders.empty()) return true;
  for (const OutputGroup::Holder& holder : group.holders) {
    if (!holder.written.has_value() || BytesWritten(holder.pid) != holder.written) return false;
  }
  absl::flat_hash_set<int32_t> known;
  for (const Process* process : processes.InOrder()) {
    if (!process->ended) known.insert(process->pid);
    if (process->rank < group.born || !is_started_by_holder(*process)) continue;
    if (process->ended || BytesWritten(process->pid) != 0) return false;
  }
  // Each that is not in the model yet has to be one of these.
  uint32_t silent = 0;
  for (const OutputGroup::Holder& holder : group.holders) {
    for (const int32_t child : ChildrenOf(holder.pid)) {
      if (!known.contains(child) && BytesWritten(child) == 0) ++silent;
    }
  }
  return model.ring.next_process.load() <= processes.made() + 1 + silent;
}

void BuildRecorder::Impl::AddFileOutput(Scope* scope, const OutputGroup& group, v1::Output output, FollowedModel model,
                                        v1::ActionRecord* record) {
  const FileState state = StateOf(group.path, /*nofollow=*/false);
  if (state.type != v1::FILE_REGULAR || state.stamp.ino != group.ino || state.stamp.size < group.start ||
      state.stamp.size - group.start > kMaxFileOutput) {
    scope->Taint(v1::Decision::REASON_CHANGED, "the file that its output went to was replaced or cut", group.path);
    return;
  }
  for (const auto& [key, seen] : scope->seen) {
    const bool same = seen.stamp.dev == group.dev && seen.stamp.ino == group.ino;
    if (!same || seen.type != v1::FILE_REGULAR || (seen.weight & kContent) == 0) continue;
    return scope->Taint(v1::Decision::REASON_OTHER, "it read the file that its output went to", group.path);
  }
  if (state.stamp == group.stamp) return;
  if (!group.in_place && state.stamp.size == group.start) {
    scope->Taint(v1::Decision::REASON_OTHER, "something was written over what its output held before", group.path);
    return;
  }
  const std::string bytes = ReadPart(group.path, group.start, state.stamp.size - group.start);
  if (group.unclear || group.in_place || !WroteAlone(*scope, group, model)) {
    scope->Taint(v1::Decision::REASON_OTHER,
                 group.in_place ? "its output went over what a file held before"
                                : "others may have written to the file that its output went to",
                 group.path);
    return;
  }
  const absl::StatusOr<Digest> digest = store_.PutBytes(bytes);
  if (bytes.empty() || !digest.ok()) {
    scope->Taint(v1::Decision::REASON_BLOB, "its output could not be stored", group.path);
    return;
  }
  *output.mutable_digest() = ToProto(*digest);
  *record->add_outputs() = std::move(output);
}

void BuildRecorder::Impl::AddOutputs(Scope* scope, FollowedModel model, v1::ActionRecord* record) {
  for (const OutputGroup& group : scope->start.outputs) {
    v1::Output output;
    for (const int32_t fd : group.fds) output.add_fds(fd);
    if (group.kind == OpenDescriptor::Kind::kFile) {
      AddFileOutput(scope, group, std::move(output), model, record);
      continue;
    }
    if (!group.stream.has_value()) {
      scope->Taint(v1::Decision::REASON_OTHER, "what it writes to its output could not be captured");
      continue;
    }
    const Relay::Recorded recorded = relay_->Finish(*group.stream, kLastWriterPatience);
    if (!recorded.complete()) {
      scope->Taint(v1::Decision::REASON_OTHER, !recorded.taken   ? "what it writes to its output could not be captured"
                                               : !recorded.ended ? "something that it started still holds its output"
                                                                 : "its output is too long to be kept");
      continue;
    }
    if (recorded.size == 0) continue;
    const absl::StatusOr<Digest> digest =
        recorded.file.get() >= 0
            ? store_.PutBytes(ReadPart(absl::StrCat("/proc/self/fd/", recorded.file.get()), 0, recorded.size))
            : store_.PutBytes(recorded.bytes);
    if (!digest.ok()) {
      scope->Taint(v1::Decision::REASON_BLOB, "its output could not be stored");
      continue;
    }
    *output.mutable_digest() = ToProto(*digest);
    *record->add_outputs() = std::move(output);
  }
}

}  // namespace ocpwatch
