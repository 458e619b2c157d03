#include "preload/gencalls/wrapper_support.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>

namespace ocpwatch {

int StreamDescriptor(FILE* stream) {
  if (stream == nullptr) return -1;
  const int saved = errno;
  const int fd = fileno(stream);
  errno = saved;
  return fd;
}

int DirectoryDescriptor(DIR* directory) {
  if (directory == nullptr) return -1;
  const int saved = errno;
  const int fd = dirfd(directory);
  errno = saved;
  return fd;
}

uint32_t OpenFlags(const char* fopen_mode) {
  if (fopen_mode == nullptr) return 0;
  uint32_t access = O_RDONLY;
  uint32_t flags = 0;
  switch (*fopen_mode) {
    case 'w':
      access = O_WRONLY;
      flags = O_CREAT | O_TRUNC;
      break;
    case 'a':
      access = O_WRONLY;
      flags = O_CREAT | O_APPEND;
      break;
    case '\0':
      return 0;
    default:
      break;
  }
  // glibc looks at six more characters; "ccs=" follows a comma.
  for (int i = 1; i < 7 && fopen_mode[i] != '\0' && fopen_mode[i] != ','; i++) {
    if (fopen_mode[i] == '+') access = O_RDWR;
    if (fopen_mode[i] == 'e') flags |= O_CLOEXEC;
    if (fopen_mode[i] == 'x') flags |= O_EXCL;
  }
  return access | flags;
}

int WaitStatus(const siginfo_t& info) {
  switch (info.si_code) {
    case CLD_EXITED:
      return (info.si_status & 0xff) << 8;
    case CLD_KILLED:
      return info.si_status & 0x7f;
    case CLD_DUMPED:
      return (info.si_status & 0x7f) | 0x80;
    case CLD_CONTINUED:
      return 0xffff;
    default:  // CLD_STOPPED, CLD_TRAPPED
      return (info.si_status & 0xff) << 8 | 0x7f;
  }
}

const char* SocketPath(const sockaddr* address, socklen_t size, char (&path)[kSocketPathSize]) {
  constexpr size_t kHead = offsetof(sockaddr_un, sun_path);
  if (address == nullptr || size <= kHead || address->sa_family != AF_UNIX) return nullptr;
  size_t length = size - kHead;
  if (length > sizeof(sockaddr_un::sun_path)) length = sizeof(sockaddr_un::sun_path);
  memcpy(path, reinterpret_cast<const char*>(address) + kHead, length);
  path[length] = '\0';
  return path[0] != '\0' ? path : nullptr;  // One that begins with NUL is an abstract name.
}

bool AddressWasRead(int error) { return error != EFAULT && error != EBADF && error != ENOTSOCK && error != EINVAL; }

}  // namespace ocpwatch
