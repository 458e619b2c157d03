#include "preload/runtime/announce.h"

#include <sys/auxv.h>

#include "ocpwatch/v1/version.h"
#include "preload/runtime/call.h"
#include "preload/runtime/executable_path.h"
#include "preload/runtime/frame_encoder.h"
#include "preload/runtime/lists.h"
#include "preload/runtime/load.h"
#include "preload/runtime/ring_writer.h"
#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"

extern "C" char** environ;

namespace ocpwatch {
namespace {

constexpr uint32_t kFrameProc = 3;
constexpr uint32_t kKindImage = 1;
constexpr uint32_t kKindForked = 2;
constexpr uint32_t kKindArguments = 3;

constexpr size_t kFixedPart = 16 * FrameEncoder::kNumberSize + 8 * FrameEncoder::kBytesOverhead + sizeof kBuildId;
// What libraries may take of the first frame: some 700 of them. A program that is linked to more is told without the
// rest.
constexpr size_t kLibrariesPart = size_t{40} * 1024;
static_assert(kFixedPart + kLibrariesPart + size_t{3} * PATH_MAX + kListPart <= kMaxFrame);

// The largest command line that a kernel passes on is 3/4 of the 8 MiB stack limit's quarter, unless the limit was
// raised: 6 MiB.
constexpr size_t kLargestCommandLine = size_t{6} << 20;

void BeginProc(FrameEncoder& frame) {
  frame.Unsigned(1, CurrentProcess());
  frame.Fixed64(2, static_cast<uint64_t>(NowNs()));
}

size_t ReadCommandLine(char* to, size_t room) {
  const int fd = RawOpen("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  size_t size = 0;
  while (size < room) {
    const long more = RawRead(fd, to + size, room - size);
    if (more <= 0) break;
    size += static_cast<size_t>(more);
  }
  RawClose(fd);
  return size;
}

uint32_t ReadUmask() {
  const long old = RawSyscall(SYS_umask, 077);
  RawSyscall(SYS_umask, old);
  return static_cast<uint32_t>(old);
}

// Where the process stands and what it executes; empty where that cannot be found out.
struct Places {
  const char* cwd;
  size_t cwd_size;
  const char* executable;
  size_t executable_size;
};

// Finds both, in two halves of `memory`; false if one is too long for its half.
bool FindPlaces(const char* requested, const char* const* arguments, char* memory, size_t half, Places* places) {
  const long size = RawSyscall(SYS_getcwd, AsWord(memory), static_cast<long>(half));  // With its NUL.
  if (Failed(size) || size == 0) memory[0] = 0;
  char* const executable = memory + half;
  *places = {memory, LengthOf(memory, half), executable,
             ExecutablePath(requested, arguments, memory, executable, half)};
  return size != -ERANGE && places->executable_size > 0;
}

// `requested` is AT_EXECFN.
void WriteImage(StringList argv, const char* requested, const Places& places, uint32_t opaque_ancestor) {
  const size_t requested_size = requested != nullptr ? LengthOf(requested, PATH_MAX) : 0;
  LibraryNames libraries;
  const size_t libraries_size = libraries.SizeOfAll(kLibrariesPart);
  StringList environment(in_build_session ? environ : nullptr);
  for (bool first = true;; first = false) {
    size_t lists = argv.SizeOfPart(kListPart);
    if (argv.at_end_of_part()) lists += environment.SizeOfPart(kListPart - lists);
    size_t capacity = kFixedPart + lists;
    if (first) capacity += places.executable_size + requested_size + places.cwd_size + libraries_size;
    const Claim claim = ClaimFrame(capacity);
    if (claim.frame == nullptr) return;
    FrameEncoder frame(claim.frame, claim.capacity);
    BeginProc(frame);
    unsigned char* const proc = frame.Begin(kFrameProc);
    frame.Unsigned(1, first ? kKindImage : kKindArguments);
    if (first) {
      frame.Int32(2, RawGetpid());
      frame.Int32(3, RawGetppid());
      frame.Unsigned(4, opaque_ancestor);
      frame.Unsigned(5, opaque_ancestor != 0 ? 1 : 0);
      if (places.executable_size > 0) frame.Bytes(6, places.executable, places.executable_size);
      if (requested_size > 0) frame.Bytes(7, requested, requested_size);
      if (places.cwd_size > 0) frame.Bytes(9, places.cwd, places.cwd_size);
      libraries.EncodeAll(frame, 10, libraries_size);
      frame.Unsigned(12, kProtocol);
      frame.Bytes(13, kBuildId, sizeof kBuildId - 1);
      if (in_build_session) frame.Unsigned(15, ReadUmask());
    }
    argv.EncodePart(frame, 8);
    environment.EncodePart(frame, 11);
    frame.End(proc);
    CommitFrame(claim, frame.size(), false);
    if (argv.done() && environment.done()) return;
  }
}

[[gnu::noinline]] void WriteImageOfLongPaths(StringList argv, const char* requested, const char* const* arguments,
                                             uint32_t opaque_ancestor) {
  char memory[2 * PATH_MAX];
  Places places;
  FindPlaces(requested, arguments, memory, PATH_MAX, &places);
  WriteImage(argv, requested, places, opaque_ancestor);
}

// `arguments` null: only `argv` knows them.
void WriteImage(StringList argv, const char* const* arguments, uint32_t opaque_ancestor) {
  const char* const requested = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  char memory[2 * kUsualPath];
  Places places;
  if (FindPlaces(requested, arguments, memory, kUsualPath, &places)) {
    WriteImage(argv, requested, places, opaque_ancestor);
  } else {
    WriteImageOfLongPaths(argv, requested, arguments, opaque_ancestor);
  }
}

}  // namespace

void AnnounceImage(const char* const* argv, uint32_t opaque_ancestor) {
  if (argv != nullptr) return WriteImage(StringList(argv), argv, opaque_ancestor);
  // Pages that are not touched cost nothing.
  void* const memory = RawMap(kLargestCommandLine);
  const size_t size = memory != nullptr ? ReadCommandLine(static_cast<char*>(memory), kLargestCommandLine - 1) : 0;
  WriteImage(StringList(static_cast<char*>(memory), size), nullptr, opaque_ancestor);
  if (memory != nullptr) RawUnmap(memory, kLargestCommandLine);
}

void AnnounceFork(uint32_t parent) {
  const Claim claim = ClaimFrame(kFixedPart);
  if (claim.frame == nullptr) return;
  FrameEncoder frame(claim.frame, claim.capacity);
  BeginProc(frame);
  unsigned char* const proc = frame.Begin(kFrameProc);
  frame.Unsigned(1, kKindForked);
  frame.Int32(2, RawGetpid());
  frame.Int32(3, RawGetppid());
  frame.Unsigned(4, parent);
  frame.End(proc);
  CommitFrame(claim, frame.size(), false);
}

}  // namespace ocpwatch
