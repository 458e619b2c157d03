#include "daemon/session/process_liveness.h"

#include <fcntl.h>
#include <unistd.h>

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace ocpwatch {

namespace {

// The kernel counts start times in hundredths of a second since the boot, time in suspend included.
constexpr int64_t kTickNs = 10'000'000;

int64_t NowNs(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::string ReadStat(int32_t pid) {
  const int fd = open(absl::StrCat("/proc/", pid, "/stat").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  char buffer[1024];
  const ssize_t size = read(fd, buffer, sizeof(buffer));
  close(fd);
  return size <= 0 ? std::string() : std::string(buffer, static_cast<size_t>(size));
}

}  // namespace

bool IsAlive(const LiveProcess& process) {
  const int32_t pid = process.pid != 0 ? process.pid : process.parent_pid;
  if (pid <= 0) return false;
  const std::string stat = ReadStat(pid);
  // pid (name) state ppid ... The name may hold anything, also parentheses.
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= stat.size()) return false;
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(name_end + 2), ' ');
  constexpr size_t kStartTime = 22 - 3;  // proc(5) counts from 1, and the first two are cut off.
  if (fields.size() <= kStartTime || fields[0] == "Z" || fields[0] == "X") return false;
  int64_t start_ticks = 0;
  if (process.pid == 0 || !absl::SimpleAtoi(fields[kStartTime], &start_ticks)) return true;
  const int64_t suspended_ns = NowNs(CLOCK_BOOTTIME) - NowNs(CLOCK_MONOTONIC);
  return start_ticks * kTickNs <= static_cast<int64_t>(process.last_seen_ns) + suspended_ns + kTickNs;
}

}  // namespace ocpwatch
