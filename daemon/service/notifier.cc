#include "daemon/service/notifier.h"

#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ocpwatch {

Notifier::Notifier(int ready_fd) : ready_fd_(ready_fd) {
  uint64_t bound_us = 0;
  if (sd_watchdog_enabled(/*unset_environment=*/1, &bound_us) > 0) {
    alive_interval_ = std::chrono::milliseconds(std::max<uint64_t>(1, bound_us / 2000));
  }
}

Notifier::~Notifier() {
  if (ready_fd_ >= 0) close(ready_fd_);
}

void Notifier::Ready() {
  sd_notify(0, "READY=1");
  Tell("ready");
}

void Notifier::Failed(const std::string& error) {
  sd_notify(0, absl::StrCat("STATUS=", error).c_str());
  Tell(error);
}

void Notifier::Status(const std::string& text) { sd_notify(0, absl::StrCat("STATUS=", text).c_str()); }

void Notifier::Alive() { sd_notify(0, "WATCHDOG=1"); }

void Notifier::Stopping() { sd_notify(0, "STOPPING=1"); }

void Notifier::Tell(std::string line) {
  if (ready_fd_ < 0) return;
  std::replace(line.begin(), line.end(), '\n', ' ');
  line += '\n';
  // A client that no longer waits has its answer.
  if (write(ready_fd_, line.data(), line.size()) < 0) errno = 0;
  close(std::exchange(ready_fd_, -1));
}

}  // namespace ocpwatch
