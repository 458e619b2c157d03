#include "daemon/build/process_state.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

std::string ReadProc(const std::string& path) {
  char text[4096];
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t size = file.valid() ? read(file.get(), text, sizeof text) : 0;
  return {text, size > 0 ? static_cast<size_t>(size) : 0};
}

std::optional<uint64_t> NumberAfter(const std::string& text, std::string_view field, int base) {
  size_t at = text.find(field);
  // At the start of a line: names of programs stand in these files too.
  while (at != std::string::npos && at != 0 && text[at - 1] != '\n') at = text.find(field, at + 1);
  if (at == std::string::npos) return std::nullopt;
  return strtoull(text.c_str() + at + field.size(), nullptr, base);
}

std::optional<uint64_t> BytesWritten(int32_t pid) {
  const std::string threads = absl::StrCat("/proc/", pid, "/task");
  struct stat status;
  if (stat(threads.c_str(), &status) != 0 || status.st_nlink != 3) return std::nullopt;
  return NumberAfter(ReadProc(absl::StrCat(threads, "/", pid, "/io")), "wchar:", 10);
}

std::vector<int32_t> ChildrenOf(int32_t pid) {
  std::vector<int32_t> children;
  std::string pids = ReadProc(absl::StrCat("/proc/", pid, "/task/", pid, "/children"));
  pids.resize(pids.rfind(' ') + 1);  // The last may have been cut.
  for (const absl::string_view child : absl::StrSplit(pids, ' ', absl::SkipEmpty())) {
    int32_t number = 0;
    if (absl::SimpleAtoi(child, &number)) children.push_back(number);
  }
  return children;
}

std::optional<uint32_t> UmaskOf(int32_t pid) {
  const auto value = NumberAfter(ReadProc(absl::StrCat("/proc/", pid, "/status")), "Umask:", 8);
  if (!value.has_value()) return std::nullopt;
  return static_cast<uint32_t>(*value);
}

std::optional<Attributes> AttributesOf(int32_t pid) {
  constexpr absl::string_view kFields[] = {"Uid:", "Gid:", "Groups:", "Cpus_allowed:"};
  const std::string folder = absl::StrCat("/proc/", pid);
  const std::string status = ReadProc(folder + "/status");
  const auto umask = NumberAfter(status, "Umask:", 8);
  if (!umask.has_value()) return std::nullopt;
  Attributes attributes;
  attributes.umask = static_cast<uint32_t>(*umask);
  for (const absl::string_view line : absl::StrSplit(status, '\n')) {
    for (const absl::string_view field : kFields) {
      if (absl::StartsWith(line, field)) attributes.others.emplace_back(line);
    }
  }
  // Those two the client of a session may set otherwise for itself.
  constexpr uint64_t kOfClient = uint64_t{1} << (SIGPIPE - 1) | uint64_t{1} << (SIGCHLD - 1);
  const uint64_t ignored = NumberAfter(status, "SigIgn:", 16).value_or(0) & ~kOfClient;
  attributes.others.push_back(absl::StrCat("ignored signals: ", absl::Hex(ignored)));
  for (int resource = 0; resource < RLIMIT_NLIMITS; ++resource) {
    rlimit limit;
    if (prlimit(pid, static_cast<__rlimit_resource>(resource), nullptr, &limit) != 0) continue;
    attributes.others.push_back(absl::StrCat("limit ", resource, ": ", limit.rlim_cur, " of ", limit.rlim_max));
  }
  attributes.others.push_back("personality: " + ReadProc(folder + "/personality"));
  return attributes;
}

std::optional<uint64_t> OffsetOf(int32_t pid, int32_t fd, uint64_t dev, uint64_t ino) {
  struct stat status;
  if (stat(absl::StrCat("/proc/", pid, "/fd/", fd).c_str(), &status) != 0) return std::nullopt;
  if (status.st_dev != dev || status.st_ino != ino) return std::nullopt;
  return NumberAfter(ReadProc(absl::StrCat("/proc/", pid, "/fdinfo/", fd)), "pos:", 10);
}

bool GoesOn(int32_t pid) {
  const std::string stat = ReadProc(absl::StrCat("/proc/", pid, "/stat"));
  // "pid (name) state ...": the name may hold anything, also a parenthesis.
  const size_t end = stat.rfind(") ");
  return end != std::string::npos && end + 2 < stat.size() &&
         std::string_view("RSDI").find(stat[end + 2]) != std::string_view::npos;
}

}  // namespace ocpwatch
