#include "daemon/build/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ocpwatch {
namespace {

absl::StatusOr<UniqueFd> Take(const UniqueFd& client, int32_t number) {
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_getfd, client.get(), number, 0)));
  if (!fd.valid()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot take descriptor ", number, " of the client"));
  }
  // A read that blocks would stop the whole session.
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || (flags & O_NONBLOCK) == 0) {
    return absl::InvalidArgumentError(absl::StrCat("descriptor ", number, " of the client is not nonblocking"));
  }
  return fd;
}

absl::StatusOr<Pool::Terminal> TakeTerminal(const UniqueFd& client, const v1::RunRequest::Outputs::Terminal& offered) {
  absl::StatusOr<UniqueFd> master = Take(client, offered.master());
  if (!master.ok()) return master.status();
  // Only a master knows the number of its slave.
  unsigned number = 0;
  if (ioctl(master->get(), TIOCGPTN, &number) != 0 || offered.slave() != absl::StrCat("/dev/pts/", number)) {
    return absl::InvalidArgumentError(
        absl::StrCat("descriptor ", offered.master(), " of the client is not the master of the terminal it names"));
  }
  return Pool::Terminal{offered.master(), *std::move(master), offered.slave(), UniqueFd()};
}

absl::StatusOr<UniqueFd> TakeKeeper(const UniqueFd& client, int32_t number) {
  absl::StatusOr<UniqueFd> fd = Take(client, number);
  if (!fd.ok()) return fd;
  int domain = 0;
  int type = 0;
  socklen_t size = sizeof domain;
  if (getsockopt(fd->get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_UNIX ||
      getsockopt(fd->get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_DGRAM) {
    return absl::InvalidArgumentError(absl::StrCat("descriptor ", number, " of the client is not a keeper"));
  }
  return fd;
}

}  // namespace

absl::StatusOr<UniqueFd> TakePipe(const UniqueFd& client, int32_t number) {
  absl::StatusOr<UniqueFd> fd = Take(client, number);
  if (!fd.ok()) return fd;
  struct stat status = {};
  if (fstat(fd->get(), &status) != 0 || !S_ISFIFO(status.st_mode) ||
      (fcntl(fd->get(), F_GETFL) & O_ACCMODE) != O_RDONLY) {
    return absl::InvalidArgumentError(absl::StrCat("descriptor ", number, " of the client is not a pipe's read end"));
  }
  return fd;
}

absl::StatusOr<Pool> TakePool(int32_t client_pid, const v1::RunRequest::Outputs& offered) {
  if (offered.pipes_size() > kMaxPool || offered.terminals_size() > kMaxPool) {
    return absl::InvalidArgumentError("the client offers too many pipes or terminals");
  }
  if (offered.keepers_size() != offered.pipes_size() + offered.terminals_size()) {
    return absl::InvalidArgumentError("the client offers pipes or terminals without keepers");
  }
  int keepers = 0;
  Pool pool;
  pool.client_pid = client_pid;
  pool.client = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, client_pid, 0)));
  if (!pool.client.valid()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open the client, process ", client_pid));
  }
  for (const int32_t number : offered.pipes()) {
    absl::StatusOr<UniqueFd> read = TakePipe(pool.client, number);
    if (!read.ok()) return read.status();
    absl::StatusOr<UniqueFd> keeper = TakeKeeper(pool.client, offered.keepers(keepers++));
    if (!keeper.ok()) return keeper.status();
    pool.pipes.push_back({number, *std::move(read), *std::move(keeper)});
  }
  for (const auto& one : offered.terminals()) {
    absl::StatusOr<Pool::Terminal> terminal = TakeTerminal(pool.client, one);
    if (!terminal.ok()) return terminal.status();
    absl::StatusOr<UniqueFd> keeper = TakeKeeper(pool.client, offered.keepers(keepers++));
    if (!keeper.ok()) return keeper.status();
    terminal->keeper = *std::move(keeper);
    pool.terminals.push_back(*std::move(terminal));
  }
  return pool;
}

}  // namespace ocpwatch
