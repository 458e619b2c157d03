// What the generated wrappers need beside the Call: reading arguments that are more than a number or a path.
//
// Nothing here changes errno.
#ifndef OCPWATCH_PRELOAD_GENCALLS_WRAPPER_SUPPORT_H_
#define OCPWATCH_PRELOAD_GENCALLS_WRAPPER_SUPPORT_H_

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>

#include "preload/runtime/call.h"

namespace ocpwatch {

// The descriptor of a stream or directory; -1 for null and for streams without one.
int StreamDescriptor(FILE* stream);
int DirectoryDescriptor(DIR* directory);

// The same of a stream without asking libc, which takes a lock or two.
inline int StreamNumber(const FILE* stream) { return stream != nullptr ? stream->_fileno : -1; }

// The open(2) flags that fopen makes of its mode ("r+e").
uint32_t OpenFlags(const char* fopen_mode);

// The wait status that waitpid would have given for what waitid says.
int WaitStatus(const siginfo_t& info);

// The path in an address of a Unix socket, with its NUL, or null if the address has none. `path` holds it.
inline constexpr size_t kSocketPathSize = sizeof(sockaddr_un::sun_path) + 1;
const char* SocketPath(const sockaddr* address, socklen_t size, char (&path)[kSocketPathSize]);

// Whether a call that failed like this has read its socket address, so that we may.
bool AddressWasRead(int error);

// The behaviour of an open with these flags: in a build session, only one that may change a file waits for an answer.
inline Behaviour OnlyToWrite(Behaviour behaviour, uint32_t flags) {
  const bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
  return behaviour == Behaviour::kSynchronous && !writes && in_build_session ? Behaviour::kAfter : behaviour;
}

// The real call has failed.
inline void NoteFailure(Call& call, int error) {
  call.result = -1;
  call.error = error;
}

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_GENCALLS_WRAPPER_SUPPORT_H_
