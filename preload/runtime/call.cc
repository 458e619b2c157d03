#include "preload/runtime/call.h"

#include "ocpwatch/v1/ring.h"
#include "preload/runtime/frame_encoder.h"
#include "preload/runtime/frame_writer.h"
#include "preload/runtime/lists.h"
#include "preload/runtime/load.h"
#include "preload/runtime/reply.h"
#include "preload/runtime/session.h"
#include "preload/runtime/start.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"

namespace ocpwatch {
namespace {

// Fields of Frame.
constexpr uint32_t kFrameBefore = 4;
constexpr uint32_t kFrameAfter = 5;

// Everything of a frame but its strings: at most 20 numbers, each with tag and value, and the tags and lengths of
// messages.
constexpr size_t kFixedPart = 22 * FrameEncoder::kNumberSize + 6 * FrameEncoder::kBytesOverhead;

// A longer path than this is refused by the kernel, so what is cut off has no meaning.
constexpr size_t kLongestPath = PATH_MAX;

std::atomic<uint32_t> next_id{1};

size_t PathLength(const char* path) { return path == nullptr ? 0 : LengthOf(path, kLongestPath); }

void BeginFrame(FrameEncoder& frame) {
  frame.Unsigned(1, CurrentProcess());
  frame.Fixed64(2, static_cast<uint64_t>(NowNs()));
}

// What BeforeCall and AfterCall have in common, under the same numbers.
void EncodeArguments(FrameEncoder& frame, const Call& call, size_t path_length, size_t path2_length) {
  frame.Unsigned(1, static_cast<uint64_t>(call.function));
  frame.Unsigned(2, call.id);
  if (path_length > 0) frame.Bytes(3, call.path, path_length);
  if (path2_length > 0) frame.Bytes(4, call.path2, path2_length);
  frame.Signed(5, call.fd);
  frame.Signed(6, call.fd2);
  frame.Unsigned(7, call.flags);
  frame.Unsigned(8, call.mode);
  frame.Unsigned(10, call.child);
  frame.Fixed64(11, call.object);
  frame.Signed(16, call.value);
  frame.Unsigned(17, call.opaque);
}

void EncodeStat(FrameEncoder& frame, int fd) {
  struct stat status;
  if (Failed(RawFstat(fd, &status))) return;
  unsigned char* const message = frame.Begin(15);
  frame.Unsigned(1, status.st_dev);
  frame.Unsigned(2, status.st_ino);
  frame.Unsigned(3, status.st_mode);
  frame.Unsigned(4, static_cast<uint64_t>(status.st_size));
  frame.Signed(5, status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec);
  frame.Signed(6, status.st_ctim.tv_sec * 1'000'000'000 + status.st_ctim.tv_nsec);
  frame.End(message);
}

// A path that the kernel has not looked at yet may be no address at all.
const char* Readable(const char* path) { return IsReadable(path) ? path : nullptr; }

// Writes the BeforeCall, in as many frames as argv and environment need. True if the last one, which names the reply
// slot, was written.
bool WriteBefore(const Call& call, uint32_t reply_slot) {
  const bool with_environment = call.environment != nullptr && session.ring->collect_environment != 0;
  StringList argv(call.argv);
  StringList environment(with_environment ? call.environment : nullptr);
  const size_t path_length = PathLength(call.path);
  const size_t path2_length = PathLength(call.path2);
  for (bool first = true;; first = false) {
    size_t lists = argv.SizeOfPart(kListPart);
    if (argv.at_end_of_part()) lists += environment.SizeOfPart(kListPart - lists);
    FrameWriter writer(kFixedPart + path_length + path2_length + lists);
    FrameEncoder& frame = writer.encoder();
    BeginFrame(frame);
    unsigned char* const message = frame.Begin(kFrameBefore);
    if (first) {
      EncodeArguments(frame, call, path_length, path2_length);
    } else {
      frame.Unsigned(1, static_cast<uint64_t>(call.function));
      frame.Unsigned(2, call.id);
    }
    argv.EncodePart(frame, 9);
    environment.EncodePart(frame, 18);
    const bool more = !argv.done() || !environment.done();
    frame.Unsigned(20, more ? 1 : 0);
    if (!more) frame.Unsigned(19, reply_slot);
    frame.End(message);
    if (!writer.Commit(!more && reply_slot != 0)) return false;
    if (!more) return true;
  }
}

}  // namespace

Behaviour BehaviourFor(FunctionId function) {
  if (__builtin_expect(!IsActive(), 0)) {
    if (session.phase.load(std::memory_order_relaxed) != Phase::kNotStarted) return Behaviour::kOff;
    Start(0, nullptr);
    if (!IsActive()) return Behaviour::kOff;
  }
  return static_cast<Behaviour>(session.ring->behaviours[static_cast<size_t>(function)]);
}

void RecordBefore(Call& call, Behaviour behaviour) {
  if (behaviour < Behaviour::kBeforeAndAfter || !IsActive()) return;
  TellLoadedLibraries();
  call.id = next_id.fetch_add(1, std::memory_order_relaxed);
  if (call.id == 0) call.id = next_id.fetch_add(1, std::memory_order_relaxed);
  Call checked = call;
  checked.path = Readable(call.path);
  checked.path2 = Readable(call.path2);
  if (!IsReadable(call.argv)) checked.argv = nullptr;
  if (!IsReadable(call.environment)) checked.environment = nullptr;
  const uint32_t slot = behaviour == Behaviour::kSynchronous ? TakeReplySlot() : 0;
  if (WriteBefore(checked, slot)) {
    if (slot != 0) AwaitReply(slot);
  } else if (slot != 0) {
    ReturnReplySlot(slot);
  }
}

void RecordAfter(const Call& call) {
  if (!IsActive()) return;
  TellLoadedLibraries();
  // The kernel could not read one of the paths; nor could we.
  const bool unreadable = call.error == EFAULT;
  const size_t path_length = unreadable ? 0 : PathLength(call.path);
  const size_t path2_length = unreadable ? 0 : PathLength(call.path2);
  size_t result_length = 0;
  if (call.result_path != nullptr) {
    result_length = call.result_path_size >= 0 ? static_cast<size_t>(call.result_path_size)
                                               : LengthOf(call.result_path, kLongestPath);
    if (result_length > kLongestPath) result_length = kLongestPath;
  }
  FrameWriter writer(kFixedPart + path_length + path2_length + result_length);
  FrameEncoder& frame = writer.encoder();
  BeginFrame(frame);
  unsigned char* const message = frame.Begin(kFrameAfter);
  EncodeArguments(frame, call, path_length, path2_length);
  if (result_length > 0) frame.Bytes(12, call.result_path, result_length);
  frame.Signed(13, call.result);
  frame.Int32(14, call.error);
  if (call.stat_fd >= 0) EncodeStat(frame, call.stat_fd);
  frame.End(message);
  writer.Commit(false);
}

}  // namespace ocpwatch
