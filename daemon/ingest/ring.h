// Makes the shared memory of a session (ocpwatch/v1/ring.h): the daemon holds it, so nothing that was written into it
// can be lost with its writer.
//
// The memfd is sealed against shrinking and growing before anybody else sees it: a process that could truncate it would
// kill the daemon with SIGBUS. It is not sealed against writing; what stands in it is believed by nobody
// (ring_reader.h).
//
// Threads: WatchVariable and the accessors from any thread; Close from any, once or more often.
#ifndef OCPWATCH_DAEMON_INGEST_RING_H_
#define OCPWATCH_DAEMON_INGEST_RING_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "daemon/ingest/unique_fd.h"
#include "ocpwatch/v1/intercept.pb.h"
#include "ocpwatch/v1/ring.h"

namespace ocpwatch {

// The longest frame and the gap before it that it would not fit into, twice: two writers of such frames can alternate.
inline constexpr uint64_t kMinDataSize = 4 * uint64_t{kMaxFrame};

struct RingOptions {
  // A v1::Behaviour for each FunctionId from 0 on, at most kMaxFunctions; the rest is off.
  std::span<const unsigned char> behaviours;
  bool collect_environment = false;
  // A power of two, at least kMinDataSize. Tests take a small one.
  uint64_t data_size = kRingDataSize;
};

class Ring {
 public:
  // Errors: RESOURCE_EXHAUSTED or INTERNAL with the failed call, INVALID_ARGUMENT for options that cannot be.
  static absl::StatusOr<std::unique_ptr<Ring>> Create(const RingOptions& options);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Stays open as long as the Ring: processes open /proc/<daemon>/fd/<fd>.
  int fd() const { return fd_.get(); }
  // 16 random bytes that name the session.
  std::string_view token() const { return token_; }
  // As given to Create, kMaxFunctions bytes; the daemon's own copy.
  std::string_view behaviours() const { return behaviours_; }
  uint64_t data_size() const { return data_size_; }

  // Shared with everybody: nothing read from here is to be trusted.
  RingHeader& header() { return *header_; }
  unsigned char* data() { return data_; }
  // The state word of the record at `position`.
  std::atomic<uint64_t>& Word(uint64_t position);

  // The value of OCP_WATCH for a process to come. `process`: its number, `pid`: its pid where known, else 0,
  // `parent_pid`: its parent's where pid is 0. The path goes last and may hold any byte.
  std::string WatchVariable(uint32_t process, int32_t pid, int32_t parent_pid, std::string_view socket_path) const;

  // Gives the answer to whoever waits at slot number `index`, if anybody does. Thread-safe: of two answers at once, one
  // comes whole.
  void Answer(uint32_t index, const v1::Reply& reply);

  // The session is over: whoever waits for room or an answer goes on unrecorded.
  void Close();

 private:
  Ring(UniqueFd fd, void* memory, const RingOptions& options, std::string token);

  const UniqueFd fd_;
  const std::string token_;
  const uint64_t data_size_;
  std::string behaviours_;
  RingHeader* const header_;
  unsigned char* const data_;
  absl::Mutex answering_;  // The reader's thread answers, and the one that closes.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_INGEST_RING_H_
