// What /proc says of a process that waits, see proc(5). Any thread.
#ifndef OCPWATCH_DAEMON_BUILD_PROCESS_STATE_H_
#define OCPWATCH_DAEMON_BUILD_PROCESS_STATE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ocpwatch {

// The file's first 4 KiB; nothing if it cannot be read.
std::string ReadProc(const std::string& path);

// The number behind the line's name `field`, which ends in a colon.
std::optional<uint64_t> NumberAfter(const std::string& text, std::string_view field, int base);

// What it has written by system calls so far, to anything, without its children (/proc/<pid>/io has those that were
// waited for). Nothing where it has several threads, or the kernel does not count.
std::optional<uint64_t> BytesWritten(int32_t pid);

std::optional<uint32_t> UmaskOf(int32_t pid);

// False if it is stopped by a signal or a debugger, or has ended.
bool GoesOn(int32_t pid);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_PROCESS_STATE_H_
