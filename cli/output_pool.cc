#include "cli/output_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "cli/forwarder.h"
#include "ocpwatch/v1/keeper.h"

namespace ocpwatch {
namespace {

// The pool has no more than this part of the descriptors that we may open: gRPC wants some.
constexpr rlim_t kPartOfLimit = 4;

// For the handler of SIGWINCH, which may run in any thread at any time.
std::atomic<int> resized_from{-1};
std::array<std::atomic<int>, kPoolTerminals> resized;

void CopySize(int) {
  const int saved = errno;
  winsize size = {};
  if (ioctl(resized_from, TIOCGWINSZ, &size) == 0) {
    for (const std::atomic<int>& master : resized) {
      if (master >= 0) ioctl(master, TIOCSWINSZ, &size);
    }
  }
  errno = saved;
}

// A datagram socket that receives what is sent to it and from nobody else.
int MakeKeeper() {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  socklen_t size = sizeof address.sun_family;  // The kernel chooses an abstract name.
  if (fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0) {
    size = sizeof address;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
        connect(fd, reinterpret_cast<sockaddr*>(&address), size) == 0) {
      return fd;
    }
  }
  if (fd >= 0) close(fd);
  return -1;
}

int MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return -1;
  close(ends[1]);
  return ends[0];
}

int MakeTerminal(std::string* slave) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  unsigned number = 0;
  if (master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0 && ioctl(master, TIOCGPTN, &number) == 0) {
    *slave = absl::StrCat("/dev/pts/", number);
    return master;
  }
  if (master >= 0) close(master);
  return -1;
}

}  // namespace

void OutputPool::Fill(bool terminals) {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  // Two descriptors each.
  const int most = static_cast<int>(std::min<rlim_t>(limit.rlim_cur / kPartOfLimit / 2, 1 << 20));
  const int masters = terminals ? std::min(kPoolTerminals, most / 4) : 0;
  const int pipes = std::min(kPoolPipes, most - masters);
  for (int i = 0; i < pipes && Add(false); ++i) {
  }
  for (int i = 0; i < masters && Add(true); ++i) {
  }
}

bool OutputPool::Add(bool terminal) {
  Entry entry;
  entry.read = terminal ? MakeTerminal(&entry.slave) : MakePipe();
  entry.keeper = MakeKeeper();
  if (entry.read >= 0 && entry.keeper >= 0) {
    entries_.push_back(std::move(entry));
    return true;
  }
  if (entry.read >= 0) close(entry.read);
  if (entry.keeper >= 0) close(entry.keeper);
  return false;
}

OutputPool::~OutputPool() {
  Settle();
  if (resized_from.exchange(-1) >= 0) signal(SIGWINCH, SIG_DFL);
  for (std::atomic<int>& master : resized) master = -1;
  for (const Entry& entry : entries_) {
    if (entry.read >= 0) close(entry.read);
    close(entry.keeper);
  }
}

v1::RunRequest::Outputs OutputPool::Offer(bool terminals) {
  if (entries_.empty()) Fill(terminals);
  v1::RunRequest::Outputs outputs;
  for (const Entry& entry : entries_) {
    outputs.add_keepers(entry.keeper);
    if (entry.slave.empty()) {
      outputs.add_pipes(entry.read);
      continue;
    }
    outputs.add_terminals()->set_master(entry.read);
    outputs.mutable_terminals()->rbegin()->set_slave(entry.slave);
  }
  return outputs;
}

void OutputPool::AllowCopiesBy(pid_t daemon) { prctl(PR_SET_PTRACER, static_cast<unsigned long>(daemon), 0, 0, 0); }

void OutputPool::Replace(int number) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto entry =
      std::find_if(entries_.begin(), entries_.end(), [number](const Entry& each) { return each.read == number; });
  if (entry == entries_.end() || taken_over_) return;
  std::string slave;
  const int fresh = entry->slave.empty() ? MakePipe() : -1;
  if (fresh >= 0) {
    dup3(fresh, number, O_CLOEXEC);
    close(fresh);
    return;
  }
  close(number);
  entry->read = -1;
}

void OutputPool::TakeOver() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (taken_over_) return;
  taken_over_ = true;
  std::vector<Forwarder> forwarders;
  for (Entry& entry : entries_) {
    Source source;
    const int target = TakeRoute(entry.keeper, &source);
    if (target < 0 || entry.read < 0) continue;
    source.fd = std::exchange(entry.read, -1);
    source.terminal = !entry.slave.empty();
    const auto same = std::find_if(forwarders.begin(), forwarders.end(),
                                   [target](const Forwarder& each) { return each.LeadsTo(target); });
    if (same == forwarders.end()) {
      forwarders.emplace_back(target);
      forwarders.back().Add(source);
    } else {
      close(target);
      same->Add(source);
    }
  }
  for (Forwarder& forwarder : forwarders) {
    threads_.emplace_back([this, mine = std::move(forwarder)]() mutable { mine.Run(settling_); });
  }
}

void OutputPool::Settle() {
  settling_ = true;
  std::vector<std::thread> threads;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

void OutputPool::FollowSize(int terminal) {
  size_t used = 0;
  for (std::atomic<int>& master : resized) master = -1;
  for (const Entry& entry : entries_) {
    if (!entry.slave.empty() && used < resized.size()) resized[used++] = entry.read;
  }
  resized_from = terminal;
  struct sigaction action = {};
  action.sa_handler = CopySize;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGWINCH, &action, nullptr);
  CopySize(0);
}

}  // namespace ocpwatch
