#include "daemon/build/interpreter.h"

#include <fcntl.h>
#include <unistd.h>

#include <string_view>

#include "absl/cleanup/cleanup.h"

namespace ocpwatch {

namespace {

// BINPRM_BUF_SIZE of linux/binfmts.h: the kernel reads no more of the first line.
constexpr size_t kFirstLine = 256;

}  // namespace

std::string InterpreterOf(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return "";
  const absl::Cleanup close_fd = [fd] { close(fd); };
  char head[kFirstLine];
  const ssize_t size = read(fd, head, sizeof head);
  std::string_view line(head, size > 0 ? static_cast<size_t>(size) : 0);
  if (!line.starts_with("#!")) return "";
  line.remove_prefix(2);
  line = line.substr(0, line.find('\n'));
  const size_t begin = line.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return "";
  line.remove_prefix(begin);
  return std::string(line.substr(0, line.find_first_of(std::string_view(" \t\0", 3))));
}

}  // namespace ocpwatch
