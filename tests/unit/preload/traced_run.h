// A small daemon for tests of the preload library: it makes the session's ring as ring.h says, starts programs in it,
// and keeps every frame that they write. The real reader is daemon/ingest; this one trusts what it reads.
#ifndef OCPWATCH_TESTS_UNIT_PRELOAD_TRACED_RUN_H_
#define OCPWATCH_TESTS_UNIT_PRELOAD_TRACED_RUN_H_

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ocpwatch/v1/functions.pb.h"
#include "ocpwatch/v1/intercept.pb.h"
#include "ocpwatch/v1/ring.h"

namespace ocpwatch {

struct RunOptions {
  std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin"};
  std::string user_preload;  // The user's own LD_PRELOAD.
  std::string library;       // The preload library; "" is PreloadPath().
  bool traced = true;        // False: the same without us.
  std::string directory;     // Working directory; "" is ours.
  std::function<void(pid_t)> while_it_runs = {};
  int descriptor_limit = 0;  // RLIMIT_NOFILE, 0: as it is.
};

struct RunResult {
  int wait_status = 0;
  pid_t pid = 0;
  std::string out;
  std::string err;
};

class TestSession {
 public:
  struct Settings {
    uint64_t data_size = kRingDataSize;
    bool read = true;     // False: a reader that never moves.
    int claimed_pid = 0;  // Who the daemon says it is; 0: this process.
    bool build = false;   // The behaviours and the environment of a build session.
    std::string socket_path = "/nonexistent/intercept.sock";
  };
  TestSession() : TestSession(Settings{}) {}
  explicit TestSession(const Settings& settings);
  ~TestSession();

  RunResult Run(const std::vector<std::string>& argv, const RunOptions& options = {});

  // All frames so far, after what is in the ring has been read.
  std::vector<v1::Frame> Frames();

  void Set(const std::string& function, v1::Behaviour behaviour);
  // Answers a synchronous call. By default: Proceed.
  void OnSynchronous(std::function<v1::Reply(const v1::Frame&)> answer);

  RingHeader* ring() { return ring_; }
  int ring_fd() const { return fd_; }
  uint64_t malformed() const { return malformed_; }
  // `daemon` 0: as Settings::claimed_pid says.
  std::string WatchVariable(uint32_t process, pid_t pid, pid_t parent, pid_t daemon = 0) const;

 private:
  void ReadLoop();
  void Drain();
  void Take(const unsigned char* data, size_t size);

  Settings settings_;
  int fd_ = -1;
  size_t size_ = 0;
  RingHeader* ring_ = nullptr;
  unsigned char* data_ = nullptr;
  std::mutex mutex_;
  std::vector<v1::Frame> frames_;
  std::atomic<uint64_t> malformed_{0};
  std::function<v1::Reply(const v1::Frame&)> answer_;
  std::atomic<bool> stop_{false};
  std::thread reader_;
};

// The path of the library under test and of the program that does what the tests ask of it.
std::string PreloadPath();
std::string ProbePath();

// What the tests look for.
v1::Op OpOf(uint32_t function);
std::string NameOf(uint32_t function);
// AfterCalls of the op, in order.
std::vector<v1::Frame> After(const std::vector<v1::Frame>& frames, v1::Op op);
std::vector<v1::Frame> Before(const std::vector<v1::Frame>& frames, v1::Op op);
std::vector<v1::Frame> Images(const std::vector<v1::Frame>& frames);
// The path given to calls of the op, each once, sorted.
std::vector<std::string> Paths(const std::vector<v1::Frame>& frames, v1::Op op);
bool Contains(const std::vector<std::string>& list, const std::string& entry);

}  // namespace ocpwatch

#endif  // OCPWATCH_TESTS_UNIT_PRELOAD_TRACED_RUN_H_
