// Pipes and terminals for the outputs of a build's commands: made here, read by the daemon, and never lost.
//
// In a build session each command writes to a pipe of its own, or to a terminal where it would have had one, so that
// the daemon can record what it says and forward it to where it belongs. The reading ends are the client's and the
// daemon takes copies: should the daemon be killed, the user's command notices nothing, because the client then
// forwards what is in them. Where each leads is in the keepers: see ocpwatch/v1/keeper.h.
//
// All are close-on-exec: the command finds none of them among its descriptors.
#ifndef OCPWATCH_CLI_OUTPUT_POOL_H_
#define OCPWATCH_CLI_OUTPUT_POOL_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ocpwatch/v1/monitor.pb.h"

namespace ocpwatch {

// Commands that run at the same time, each below the one that started it: make -j16 with gcc, cc1 and as below a shell
// are 64. The one that finds none writes to what it inherited, and cannot be reused.
inline constexpr int kPoolPipes = 64;
inline constexpr int kPoolTerminals = 16;

class OutputPool {
 public:
  OutputPool() = default;
  // Ends what TakeOver has begun, and closes all.
  ~OutputPool();
  OutputPool(const OutputPool&) = delete;
  OutputPool& operator=(const OutputPool&) = delete;

  // Makes as many as the limit of open files leaves room for; terminals only where `terminals`. For the daemon, with
  // what it needs to take its copies. The same when it is called again.
  v1::RunRequest::Outputs Offer(bool terminals);
  static void AllowCopiesBy(pid_t daemon);

  // The daemon has stopped reading pipe `number`, for nobody wants what it carries: its writers get SIGPIPE. A new pipe
  // takes its place.
  void Replace(int number);

  // The daemon is dead: from here on what commands write is forwarded by threads of ours.
  void TakeOver();
  // The command has ended: returns when everything that stood in the pool has been handed on.
  void Settle();

  // The terminals get the size of `terminal` now, and whenever that changes.
  void FollowSize(int terminal);

 private:
  struct Entry {
    int read = -1;  // The pipe's reading end, or the terminal's master.
    int keeper = -1;
    std::string slave;  // Of a terminal, its path.
  };
  void Fill(bool terminals);
  bool Add(bool terminal);

  std::mutex mutex_;
  std::vector<Entry> entries_;  // Pipes, then terminals.
  bool taken_over_ = false;
  std::atomic<bool> settling_{false};
  std::vector<std::thread> threads_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_OUTPUT_POOL_H_
