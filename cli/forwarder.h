// What the daemon's relay does, done by the client after the daemon's death, without recording: the streams that lead
// to one target are read and handed on, a child's bytes in front of those that its parent wrote after them.
//
// Owned by the thread that runs it.
#ifndef OCPWATCH_CLI_FORWARDER_H_
#define OCPWATCH_CLI_FORWARDER_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace ocpwatch {

struct Source {
  int fd = -1;
  bool terminal = false;
  uint32_t stream = 0;
  uint32_t parent = 0;
};

// Takes out what `keeper` holds: fills in stream and parent of `source` and returns the descriptor to which it leads.
// -1: it holds nothing.
int TakeRoute(int keeper, Source* source);

class Forwarder {
 public:
  // `target` is the forwarder's to close.
  explicit Forwarder(int target) : target_(target) {}
  ~Forwarder();
  Forwarder(Forwarder&& other) noexcept;
  Forwarder& operator=(Forwarder&&) = delete;

  bool LeadsTo(int fd) const;
  void Add(const Source& source);

  // Until nobody writes any more or nobody reads the target; or, once `settling` is set, until nothing is left to read.
  // SIGPIPE is blocked in the calling thread.
  void Run(const std::atomic<bool>& settling);

 private:
  bool Read(Source* source, std::string* out, bool* ended);
  bool Drain(size_t index, bool may_end);
  bool Hand(const std::string& bytes);

  int target_;
  std::vector<Source> sources_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_FORWARDER_H_
