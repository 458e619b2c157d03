// What a command writes to a pipe or terminal that it inherited has to be captured whole, and still arrive.
//
// libc's stdio does not pass the PLT, so the preload cannot see it. Instead a command gets descriptors of its own: a
// pipe for a pipe, a terminal for a terminal, out of a pool (pool.h); a pipe also for a socket, which has no path to be
// opened by. Here the other ends are read: the bytes are recorded for that command and for every command around it, and
// forwarded to where the original led.
//
//     Open(pid, fd)      the process waits in its exec hook; what it is to open in place of its descriptor
//     ... the command opens that path, writes, ends ...
//     Finish(id)         what it has written
//
// Where a stream leads: if the original is itself one of the pool that is in use, that stream is the parent; else it is
// an outside target (outside_target.h). A stream's bytes go into its own record and its parent's, and so on up, and to
// the outside target of them all.
//
// Order. What the parent has written before Open stands before what the stream brings: Open reads the parent's pipe
// first. What a command has written before it ended stands before what its parent writes after that: when a parent's
// bytes have been read, those of its open streams are read and put in front of them. Two that run at the same time come
// as they come.
//
// End of file. The target is closed as soon as no stream leads there and all has been handed on, so that whoever reads
// it until its end (ninja, `a | b`, $(a)) gets it with the command's end. That a stream has no writers any more is
// heard from the kernel, not only by Finish.
//
// A target that nobody reads any more (`yes | head -1`): all streams that lead there are closed, here and in the client
// (`close_pipe`), so that the writer gets its SIGPIPE. The client puts a new pipe in the place.
//
// A target that takes nothing blocks the streams that lead there and nothing else: they are not read, and their writers
// block as they would have. No more is read than a target has room for, so that nothing waits in our memory, but for
// what Open and Finish have to read while it takes nothing.
//
// The daemon's death. Where each stream leads is in the keepers of the pool (pool.h), and the client forwards from then
// on. What had been read and not yet written is lost; that is what lies between a read and the write after it, or what
// waits in our memory. SIGPIPE comes as late as bytes can be under way. A process that opens /dev/tty writes past us.
//
// Thread-safe; one thread with epoll. SIGPIPE must be ignored in this process. Streams that are held by background
// processes when the Relay is destroyed are forwarded on to their end, by that thread, which outlives the object.
//
// Measured on a two-core machine (relay_test "[!benchmark]"): Open 7.4 to 7.9 us, Finish 2.0 to 3.8 us; from a
// command's write to its arrival 8 us while the thread is awake, 57 us where it has to wake up.
#ifndef OCPWATCH_DAEMON_BUILD_RELAY_H_
#define OCPWATCH_DAEMON_BUILD_RELAY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/build/pool.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

// Of one outside target: what may wait in our memory. Open and Finish read whether or not it takes something: short
// outputs of many commands, none of which would have blocked by itself. From here on commands get no stream, so that
// they write to what they inherited and block there.
inline constexpr size_t kMaxPending = size_t{4} << 20;

class Relay {
 public:
  struct Stream {
    uint32_t id = 0;   // Never used twice.
    std::string path;  // For v1::Substitute.
    bool terminal = false;
  };

  // What a command has written. `bytes`, or where that is long `file`: without a name, to be read by pread or as
  // "/proc/self/fd/<file>".
  struct Recorded {
    std::string bytes;
    UniqueFd file;
    uint64_t size = 0;
    bool taken = false;  // The command did open it. If not, it has written to what it had inherited, unseen.
    bool ended = false;  // Nobody can write to it any more, nor to a stream that leads into it.
    bool whole = false;  // None of it was lost: the disk was not full, it was not too long, and it could be forwarded.

    bool complete() const { return taken && ended && whole; }
  };

  // The client closes pipe `number`, which nobody reads any more, and puts a new one there. Called from the Relay's
  // thread, without locks; not after Disconnect or the destructor.
  using ClosePipeFn = std::function<void(int32_t number)>;

  // Long records go to files without names in `directory`.
  Relay(Pool pool, std::string directory, ClosePipeFn close_pipe);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // The client is not to be asked for anything any more. What is under way is handed on all the same.
  void Disconnect();

  // `fd` of the process `pid`, which waits: a pipe, socket or terminal that is open for writing. Two descriptors that
  // are the same pipe or terminal are one stream: ask for one of them. RESOURCE_EXHAUSTED: none is free.
  // FAILED_PRECONDITION: `fd` leads to something else, or nobody reads there. The command keeps its own descriptor
  // then, and its output is not captured (its parent's is).
  absl::StatusOr<Stream> Open(int32_t pid, int32_t fd);

  // The command has ended. Reads what stands in the stream and gives out the record; once for each stream. The end of a
  // process is often heard of before its descriptors are closed: for the last writer to go away is waited up to
  // `patience`. If writers remain, a background process holds it, and forwarding goes on until they have gone.
  Recorded Finish(uint32_t id, absl::Duration patience = absl::ZeroDuration());

  // The exec has failed: what came is forwarded, the record is dropped.
  void Cancel(uint32_t id);

  // Nobody will ask for the record: recording stops, forwarding goes on. Finish is still to be called.
  void DropRecord(uint32_t id);

  // Reads all that stands in the pool, then waits until it has been handed to the outside targets. False if one of them
  // has not taken it within `bound`.
  bool WaitForwarded(absl::Duration bound);

  // Streams that are in use.
  size_t open() const;

 private:
  class Loop;
  const std::shared_ptr<Loop> loop_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_RELAY_H_
