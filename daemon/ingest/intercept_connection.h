// What is said on one connection of intercept.sock: the greeting, then perhaps frames and answers.
//
//   process: Frame{Proc with token and protocol}      daemon: Reply{Bitmap}, with the ring's memfd (SCM_RIGHTS)
//   process: closes; its frames, Proc first, come through the ring
//   or:      Frame ... (delimited)                    daemon: Reply for each synchronous BeforeCall
//
// The Proc of the greeting reaches the sink only if a frame follows it on the socket: else the ring brings it.
// Refused with a Bitmap that says why: another protocol, a token of no running session, a greeting that is none. A
// frame that cannot be parsed, or that carries another session's token, ends the connection and is damage for its
// process.
//
// One thread at a time. Never waits: what cannot be sent at once ends the connection.
#ifndef OCPWATCH_DAEMON_INGEST_INTERCEPT_CONNECTION_H_
#define OCPWATCH_DAEMON_INGEST_INTERCEPT_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/ingest/frame_decoder.h"
#include "daemon/ingest/ingest_target.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

class InterceptConnection {
 public:
  // `socket`: connected, of a peer that was checked (peer.h), non-blocking. `directory` and `decoder` must outlive it.
  InterceptConnection(UniqueFd socket, SessionDirectory& directory, FrameDecoder& decoder, int64_t now_ns);
  InterceptConnection(const InterceptConnection&) = delete;
  InterceptConnection& operator=(const InterceptConnection&) = delete;

  int fd() const { return socket_.get(); }
  bool greeted() const { return greeted_; }
  // Bytes of memory held for it, but for a constant.
  size_t held() const { return input_.held() + greeting_.size(); }
  // Since when the greeting, or the rest of a frame, is waited for (CLOCK_MONOTONIC); 0: nothing is.
  int64_t waiting_since_ns() const { return waiting_since_ns_; }

  // Takes what the socket has, at most kReadBytes. False: the connection is over.
  bool Read(int64_t now_ns);
  // The same for bytes that came by another way: tests.
  bool Receive(std::string_view bytes, int64_t now_ns);

  // It is to be closed although its process had more to say: damage if it has greeted.
  void CutOff(std::string_view why);

  static constexpr size_t kReadBytes = size_t{64} * 1024;

 private:
  bool OnMessage(std::string_view message);
  bool Greet(std::string_view message);
  bool Refuse(std::string why);
  bool OnFrame(IngestTarget& target, std::string_view message);
  bool DeliverGreeting(IngestTarget& target);
  bool Send(const v1::Reply& reply, int descriptor);

  const UniqueFd socket_;
  SessionDirectory& directory_;
  FrameDecoder& decoder_;
  DelimitedReader input_;
  int64_t waiting_since_ns_;
  bool greeted_ = false;
  uint32_t process_ = 0;                // Of the greeting.
  std::string token_;                   // Of the session, once greeted.
  std::weak_ptr<IngestTarget> target_;  // A client that stays does not keep a session.
  std::string greeting_;                // Its Proc, until a frame follows it.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_INGEST_INTERCEPT_CONNECTION_H_
