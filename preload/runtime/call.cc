#include "preload/runtime/call.h"

#include "ocpwatch/v1/ring.h"
#include "preload/runtime/frame_encoder.h"
#include "preload/runtime/lists.h"
#include "preload/runtime/load.h"
#include "preload/runtime/reads.h"
#include "preload/runtime/reply.h"
#include "preload/runtime/ring_writer.h"
#include "preload/runtime/session.h"
#include "preload/runtime/start.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"

namespace ocpwatch {

constinit bool in_build_session = false;

namespace {

// Fields of Frame.
constexpr uint32_t kFrameBefore = 4;
constexpr uint32_t kFrameAfter = 5;

// Bounds of what a frame takes without its strings: its head 19 bytes, the numbers of BeforeCall and AfterCall 95, the
// tags and lengths of strings 12, and 12 that the encoder wants to be left. A frame has 45 of these on average. To
// count them exactly would cost 35 ns a call, to write them elsewhere and copy them 40 ns.
constexpr size_t kFixedPart = 144;
constexpr size_t kStatusPart = 77;

// A longer path than this is refused by the kernel, so what is cut off has no meaning.
constexpr size_t kLongestPath = PATH_MAX;

std::atomic<uint32_t> next_id{1};

size_t PathLength(const char* path) { return path == nullptr ? 0 : LengthOf(path, kLongestPath); }

// A call and what has to be found out about it before its frame is claimed.
struct Parts {
  // A path that cannot be read is given as null, whatever the call has.
  Parts(const Call& of, const char* path, const char* path2)
      : call(of), path_length(PathLength(path)), path2_length(PathLength(path2)) {}

  const Call& call;
  const size_t path_length;
  const size_t path2_length;
  size_t result_length = 0;
  bool has_status = false;
  struct stat status;
};

void EncodeHead(FrameEncoder& frame) {
  frame.Unsigned(1, CurrentProcess());
  frame.Fixed64(2, static_cast<uint64_t>(NowNs()));
}

// What BeforeCall and AfterCall have in common, under the same numbers.
void EncodeArguments(FrameEncoder& frame, const Parts& parts) {
  const Call& call = parts.call;
  frame.Unsigned(1, static_cast<uint64_t>(call.function));
  frame.Unsigned(2, call.id);
  if (parts.path_length > 0) frame.Bytes(3, call.path, parts.path_length);
  if (parts.path2_length > 0) frame.Bytes(4, call.path2, parts.path2_length);
  frame.Signed(5, call.fd);
  frame.Signed(6, call.fd2);
  frame.Unsigned(7, call.flags);
  frame.Unsigned(8, call.mode);
  frame.Unsigned(10, call.child);
  frame.Fixed64(11, call.object);
  frame.Signed(16, call.value);
  frame.Unsigned(17, call.opaque);
}

void EncodeAfter(FrameEncoder& frame, const Parts& parts) {
  const Call& call = parts.call;
  EncodeHead(frame);
  unsigned char* const message = frame.Begin(kFrameAfter);
  EncodeArguments(frame, parts);
  if (parts.result_length > 0) frame.Bytes(12, call.result_path, parts.result_length);
  frame.Signed(13, call.result);
  frame.Int32(14, call.error);
  if (parts.has_status) {
    const struct stat& status = parts.status;
    unsigned char* const stat = frame.Begin(15);
    frame.Unsigned(1, status.st_dev);
    frame.Unsigned(2, status.st_ino);
    frame.Unsigned(3, status.st_mode);
    frame.Unsigned(4, static_cast<uint64_t>(status.st_size));
    frame.Signed(5, status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec);
    frame.Signed(6, status.st_ctim.tv_sec * 1'000'000'000 + status.st_ctim.tv_nsec);
    if (S_ISCHR(status.st_mode)) frame.Unsigned(7, status.st_rdev);
    frame.End(stat);
  }
  frame.End(message);
}

// A path that the kernel has not looked at yet may be no address at all.
const char* Readable(const char* path) { return IsReadable(path) ? path : nullptr; }

// After a failure: the paths, as far as the kernel is known to have read them. A call with two may fail at the first
// one, and any may fail at its flags, before the other is looked at.
void DropUnread(const Call& call, const char** path, const char** path2) {
  const bool first_read = call.error == ENOENT || call.error == ENOTDIR || call.error == EACCES || call.error == EEXIST;
  if (!first_read) *path = Readable(*path);
  *path2 = Readable(*path2);
}

// False if the caller did not ask statx() for all of it.
bool TakeStatus(const Call& call, struct stat* status) {
  if (call.status != nullptr) {
    *status = *call.status;
    return true;
  }
  const struct statx& found = *call.statx;
  constexpr uint32_t kNeeded = STATX_TYPE | STATX_MODE | STATX_INO | STATX_SIZE | STATX_MTIME | STATX_CTIME;
  if ((found.stx_mask & kNeeded) != kNeeded) return false;
  const uint64_t major = found.stx_dev_major, minor = found.stx_dev_minor;  // As makedev(), which is a call.
  status->st_dev = (major & 0xfff) << 8 | (major & ~0xfffUL) << 32 | (minor & 0xff) | (minor & ~0xffUL) << 12;
  status->st_ino = found.stx_ino;
  status->st_mode = found.stx_mode;
  status->st_size = static_cast<off_t>(found.stx_size);
  status->st_mtim = {found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec};
  status->st_ctim = {found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec};
  return true;
}

// Writes the BeforeCall, in as many frames as argv and environment need; the last one names the reply slot. True if
// that was written.
bool WriteBefore(const Call& call, uint32_t reply_slot) {
  const bool with_environment = call.environment != nullptr && in_build_session;
  const Parts parts(call, call.path, call.path2);
  StringList argv(call.argv);
  StringList environment(with_environment ? call.environment : nullptr);
  for (bool first = true;; first = false) {
    size_t lists = argv.SizeOfPart(kListPart);
    if (argv.at_end_of_part()) lists += environment.SizeOfPart(kListPart - lists);
    const bool more = !argv.at_end_of_part() || !environment.at_end_of_part();
    const uint32_t slot = more ? 0 : reply_slot;
    const Claim claim = ClaimFrame(kFixedPart + parts.path_length + parts.path2_length + lists);
    if (claim.frame == nullptr) return false;
    FrameEncoder frame(claim.frame, claim.capacity);
    EncodeHead(frame);
    unsigned char* const message = frame.Begin(kFrameBefore);
    if (first) {
      EncodeArguments(frame, parts);
    } else {
      frame.Unsigned(1, static_cast<uint64_t>(call.function));
      frame.Unsigned(2, call.id);
    }
    frame.Unsigned(19, slot);
    frame.Unsigned(20, more ? 1 : 0);
    argv.EncodePart(frame, 9);
    environment.EncodePart(frame, 18);
    frame.End(message);
    CommitFrame(claim, frame.size(), slot != 0);
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

void RecordBefore(Call& call, Behaviour behaviour) { RecordBefore(call, behaviour, nullptr); }

void RecordBefore(Call& call, Behaviour behaviour, Answer* answer) {
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
    if (slot != 0) AwaitReply(slot, answer);
  } else if (slot != 0) {
    ReturnReplySlot(slot);
  }
}

void RecordAfter(const Call& call) {
  if (!IsActive()) return;
  TellLoadedLibraries();
  const char* path = call.path;
  const char* path2 = call.path2;
  if (call.error != 0) DropUnread(call, &path, &path2);
  Parts parts(call, path, path2);
  if (call.result_path != nullptr) {
    parts.result_length = call.result_path_size >= 0 ? static_cast<size_t>(call.result_path_size)
                                                     : LengthOf(call.result_path, kLongestPath);
    if (parts.result_length > kLongestPath) parts.result_length = kLongestPath;
  }
  if (call.stat_fd >= 0) {
    parts.has_status = !Failed(RawFstat(call.stat_fd, &parts.status));
    NoteOpened(call.stat_fd, parts.has_status && S_ISREG(parts.status.st_mode));
  } else if ((call.status != nullptr || call.statx != nullptr) && in_build_session) {
    parts.has_status = TakeStatus(call, &parts.status);
  }
  const Claim claim = ClaimFrame(kFixedPart + (parts.has_status ? kStatusPart : 0) + parts.path_length +
                                 parts.path2_length + parts.result_length);
  if (claim.frame == nullptr) return;
  FrameEncoder frame(claim.frame, claim.capacity);
  EncodeAfter(frame, parts);
  CommitFrame(claim, frame.size(), false);
}

void HoldForOutputs(const Call& wait) {
  if (session.ring->file_outputs.load(std::memory_order_relaxed) == 0) return;
  Call barrier;
  barrier.function = wait.function;
  RecordBefore(barrier, Behaviour::kSynchronous);
}

}  // namespace ocpwatch
