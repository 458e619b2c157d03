// Where frames go once they are out of the ring or the socket: the one seam between ingest and the session.
//
// Called by one thread at a time for each sink; the bytes are the daemon's own copy and valid only during the call.
#ifndef OCPWATCH_DAEMON_INGEST_FRAME_SINK_H_
#define OCPWATCH_DAEMON_INGEST_FRAME_SINK_H_

#include <cstdint>
#include <string_view>

#include "ocpwatch/v1/intercept.pb.h"

namespace ocpwatch {

class FrameSink {
 public:
  virtual ~FrameSink() = default;

  // A well-formed frame. `bytes` is its encoding, exactly as it came.
  virtual void OnFrame(const v1::Frame& frame, std::string_view bytes) = 0;

  // Frames of `process` (0: not known whose) are missing or were refused. `frames`: how many at least, 0 if unknown.
  virtual void OnDamage(uint32_t process, std::string_view what, uint64_t frames) = 0;

  // There is no frame to be had: time for a millisecond of what has to be done some time. False: nothing has to.
  virtual bool OnIdle() { return false; }
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_INGEST_FRAME_SINK_H_
