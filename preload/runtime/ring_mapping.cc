#include "preload/runtime/ring_mapping.h"

#include <sys/resource.h>

#include "ocpwatch/v1/ring.h"
#include "preload/runtime/handshake.h"
#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"

namespace ocpwatch {
namespace {

int HexDigit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

bool TokenMatches(const unsigned char* token) {
  for (size_t i = 0; i < 16; ++i) {
    const int byte = HexDigit(session.token_hex[2 * i]) << 4 | HexDigit(session.token_hex[2 * i + 1]);
    if (token[i] != byte) return false;
  }
  return true;
}

bool IsOurRing(const RingHeader* ring, uint64_t size) {
  return ring->magic == kRingMagic && ring->protocol == kProtocol && ring->data_offset == kRingDataOffset &&
         TokenMatches(ring->token) && ring->data_size >= 4096 && (ring->data_size & (ring->data_size - 1)) == 0 &&
         ring->data_size <= size - kRingDataOffset;
}

int OpenOfDaemon() {
  char path[64];
  char* end = Append(path, "/proc/", 6);
  end = AppendDecimal(end, static_cast<uint64_t>(session.daemon_pid));
  end = Append(end, "/fd/", 4);
  end = AppendDecimal(end, static_cast<uint64_t>(session.ring_fd));
  *end = 0;
  constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NONBLOCK;
  int fd = RawOpen(path, kFlags);
  if (fd != -EMFILE) return fd;
  // All descriptors are inherited ones. One more, for a moment.
  rlimit limit;
  if (Failed(RawSyscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, AsWord(&limit)))) return fd;
  rlimit more = limit;
  ++more.rlim_cur;
  if (more.rlim_cur > more.rlim_max || Failed(RawSyscall(SYS_prlimit64, 0, RLIMIT_NOFILE, AsWord(&more), 0))) return fd;
  fd = RawOpen(path, kFlags);
  RawSyscall(SYS_prlimit64, 0, RLIMIT_NOFILE, AsWord(&limit), 0);
  return fd;
}

}  // namespace

bool MapRingOf(int fd) {
  struct stat status;
  if (Failed(RawFstat(fd, &status)) || status.st_size <= static_cast<off_t>(kRingDataOffset)) return false;
  const long memory = RawSyscall(SYS_mmap, 0, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (Failed(memory)) return false;
  auto* const ring = reinterpret_cast<RingHeader*>(memory);
  // The first touch is a write: a read would have the kernel map the 15 pages around it as well, for 3.7 us more.
  ring->state.fetch_add(0, std::memory_order_relaxed);
  if (!IsOurRing(ring, static_cast<uint64_t>(status.st_size))) {
    RawUnmap(ring, static_cast<size_t>(status.st_size));
    return false;
  }
  session.ring = ring;
  session.data = reinterpret_cast<unsigned char*>(memory) + kRingDataOffset;
  session.data_size = ring->data_size;
  return true;
}

bool MapRing() {
  const int fd = OpenOfDaemon();
  if (fd >= 0) {
    session.daemon_visible = MapRingOf(fd);
    RawClose(fd);
    if (session.daemon_visible) return true;
  }
  return MapRingByHandshake();
}

}  // namespace ocpwatch
