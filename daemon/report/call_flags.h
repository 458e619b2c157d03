// The numbers in calls by the names that programmers know, as strace shows them. What has no name is a number.
#ifndef OCPWATCH_DAEMON_REPORT_CALL_FLAGS_H_
#define OCPWATCH_DAEMON_REPORT_CALL_FLAGS_H_

#include <cstdint>
#include <string>

namespace ocpwatch {

std::string HexText(uint32_t flags);         // 0x1f
std::string Octal(uint32_t mode);            // 0644
std::string OpenFlags(uint32_t flags);       // O_RDWR|O_CREAT
std::string AtFlags(uint32_t flags);         // AT_SYMLINK_NOFOLLOW; empty for 0
std::string AccessMode(uint32_t mode);       // R_OK|X_OK
std::string FcntlCommand(uint32_t command);  // F_DUPFD

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_REPORT_CALL_FLAGS_H_
