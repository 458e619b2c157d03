#include "preload/runtime/handshake.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ocpwatch/v1/ring.h"
#include "ocpwatch/v1/version.h"
#include "preload/runtime/frame_encoder.h"
#include "preload/runtime/ring_mapping.h"
#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"

namespace ocpwatch {
namespace {

constexpr uint32_t kFrameProc = 3;
constexpr uint32_t kFrameLost = 6;
// A Bitmap has a byte for each function.
constexpr size_t kLongestReply = kMaxFunctions + 512;

int Connect() {
  const long fd = RawSyscall(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (Failed(fd)) return -1;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  Append(address.sun_path, session.socket_path, LengthOf(session.socket_path, sizeof address.sun_path - 1));
  if (!Failed(RawSyscall(SYS_connect, fd, AsWord(&address), sizeof address))) return static_cast<int>(fd);
  RawClose(static_cast<int>(fd));
  return -1;
}

bool WaitReadable(int fd, int64_t deadline) {
  const int64_t left = deadline - NowNs();
  if (left <= 0) return false;
  pollfd watched = {fd, POLLIN, 0};
  const timespec timeout = {0, left};
  return RawSyscall(SYS_ppoll, AsWord(&watched), 1, AsWord(&timeout), 0, 8) == 1;
}

// Sends a frame of at most 127 bytes, so that its length is one byte.
bool Send(int fd, unsigned char* buffer, size_t frame_size) {
  buffer[0] = static_cast<unsigned char>(frame_size);
  const long size = static_cast<long>(frame_size) + 1;
  return frame_size < 128 && RawSyscall(SYS_sendto, fd, AsWord(buffer), size, MSG_NOSIGNAL, 0, 0) == size;
}

bool SendProc(int fd) {
  unsigned char buffer[128];
  FrameEncoder frame(buffer + 1, sizeof buffer - 1);
  frame.Unsigned(1, session.process);
  unsigned char* const proc = frame.Begin(kFrameProc);
  frame.Int32(2, RawGetpid());
  frame.Unsigned(12, kProtocol);
  frame.Bytes(13, kBuildId, sizeof kBuildId - 1);
  unsigned char token[16];
  for (int i = 0; i < 16; ++i) {
    const char* hex = session.token_hex + size_t{2} * static_cast<size_t>(i);
    auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    token[i] = static_cast<unsigned char>(digit(hex[0]) << 4 | digit(hex[1]));
  }
  frame.Bytes(14, token, sizeof token);
  frame.End(proc);
  return Send(fd, buffer, frame.size());
}

void SendLost(int fd) {
  unsigned char buffer[64];
  FrameEncoder frame(buffer + 1, sizeof buffer - 1);
  frame.Unsigned(1, session.process);
  unsigned char* const lost = frame.Begin(kFrameLost);
  frame.Unsigned(1, 1);
  frame.End(lost);
  Send(fd, buffer, frame.size());
}

// The descriptor that comes with the answer, or -1.
int ReceiveRing(int fd) {
  unsigned char reply[kLongestReply];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  iovec part = {reply, sizeof reply};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (RawSyscall(SYS_recvmsg, fd, AsWord(&message), MSG_CMSG_CLOEXEC) <= 0) return -1;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int))) {
    return -1;
  }
  int ring = -1;
  __builtin_memcpy(&ring, CMSG_DATA(header), sizeof ring);
  return ring;
}

}  // namespace

bool MapRingByHandshake() {
  const int64_t deadline = NowNs() + kHandshakeNs;
  const int fd = Connect();
  if (fd < 0) return false;
  bool mapped = false;
  if (SendProc(fd) && WaitReadable(fd, deadline)) {
    const int ring = ReceiveRing(fd);
    if (ring >= 0) {
      mapped = MapRingOf(ring);
      RawClose(ring);
    }
    if (!mapped) SendLost(fd);
  }
  RawClose(fd);
  return mapped;
}

}  // namespace ocpwatch
