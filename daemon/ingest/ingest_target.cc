#include "daemon/ingest/ingest_target.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

std::optional<v1::Reply> ProceedAlways::Decide(const v1::Frame&, bool, EarlyAnswer) {
  v1::Reply reply;
  reply.mutable_proceed();
  return reply;
}

CallDecider& IngestTarget::decider() { return proceed_; }

bool PidRuns(int32_t pid) {
  if (pid <= 0) return false;
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return false;
  char text[512];
  const ssize_t size = read(fd.get(), text, sizeof text - 1);
  if (size <= 0) return false;
  text[size] = '\0';
  // "pid (name) state ...": the name may hold anything, also a parenthesis.
  const char* end = strrchr(text, ')');
  if (end == nullptr || end[1] == '\0') return false;
  return end[2] != 'Z' && end[2] != 'X' && end[2] != 'x';
}

}  // namespace ocpwatch
