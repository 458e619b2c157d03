// What /proc says of a process that waits, see proc(5). Any thread.
#ifndef OCPWATCH_DAEMON_BUILD_PROCESS_STATE_H_
#define OCPWATCH_DAEMON_BUILD_PROCESS_STATE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ocpwatch {

// The file's first 4 KiB; nothing if it cannot be read.
std::string ReadProc(const std::string& path);

// The number behind the line's name `field`, which ends in a colon.
std::optional<uint64_t> NumberAfter(const std::string& text, std::string_view field, int base);

// What it has written by system calls so far, to anything, without its children (/proc/<pid>/io has those that were
// waited for). Nothing where it has several threads, or the kernel does not count.
std::optional<uint64_t> BytesWritten(int32_t pid);

// Those that its first thread has started and that have not been waited for; some of them if there are hundreds.
// None where the kernel does not tell.
std::vector<int32_t> ChildrenOf(int32_t pid);

std::optional<uint32_t> UmaskOf(int32_t pid);

// What a program inherits besides its descriptors, and may look at.
struct Attributes {
  uint32_t umask = 0;
  // User and groups, ignored signals (but SIGPIPE and SIGCHLD), the processors that it may use, its limits and its
  // personality, a line each. Not how nice it is.
  std::vector<std::string> others;
};
// Nothing if the process is not there any more. Measured: 15 us.
std::optional<Attributes> AttributesOf(int32_t pid);

// How far its descriptor is in the file of that number; nothing if it is not open, or something else.
std::optional<uint64_t> OffsetOf(int32_t pid, int32_t fd, uint64_t dev, uint64_t ino);

// False if it is stopped by a signal or a debugger, or has ended.
bool GoesOn(int32_t pid);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_PROCESS_STATE_H_
