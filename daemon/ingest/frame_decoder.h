// From untrusted bytes to a frame: the one place where what a traced process said is parsed, for ring and socket alike.
//
// Beyond what protobuf checks: a frame is at most kMaxFrame long, has a body, names its process and a function that can
// exist; paths and lists are bounded, so that nothing behind this has to be afraid of sizes. What a frame *means*
// (whether its descriptor was ever opened) is the model's business.
//
// Parsing hardly allocates in the steady state. Protobuf frees the members of a oneof whenever it is cleared, so
// there is one Frame for each kind of body, whose parts keep their memory; the two fields before the body are read by
// hand. A frame that is encoded in any other order is parsed by protobuf alone, into a frame of its own. Measured with
// the AfterCall of a stat: 165 ns, by protobuf alone 215 ns.
//
// One thread at a time.
#ifndef OCPWATCH_DAEMON_INGEST_FRAME_DECODER_H_
#define OCPWATCH_DAEMON_INGEST_FRAME_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ocpwatch/v1/intercept.pb.h"
#include "ocpwatch/v1/ring.h"

namespace ocpwatch {

// A path is at most PATH_MAX (4096) with its NUL for the kernel; a program may pass a longer one and get ENAMETOOLONG.
// The preload cuts what it sends; this leaves it room.
inline constexpr size_t kMaxPathBytes = size_t{16} * 1024;
// Libraries that the loader opened. LibreOffice has 200, Debug builds of Chromium 500.
inline constexpr int kMaxLibraries = 16 * 1024;
// An argument or a variable takes two bytes at least, so this is as many as a frame can hold.
inline constexpr int kMaxArguments = kMaxFrame / 2;

class FrameDecoder {
 public:
  FrameDecoder();

  // The frame, valid until the next call, or null, see reason() and process().
  const v1::Frame* Decode(std::string_view bytes);

  // Why the last frame was refused; for people.
  std::string_view reason() const { return reason_; }
  // The process that the last frame named, 0 where it could not be made out.
  uint32_t process() const { return process_; }

 private:
  const v1::Frame* Refuse(std::string_view reason);
  // The frame with protobuf's own checks passed, or null.
  v1::Frame* Parse(std::string_view bytes);
  // The same for the usual order of fields; null if it is another one or the body cannot be parsed.
  v1::Frame* ParseUsual(std::string_view bytes);

  v1::Frame proc_;
  v1::Frame before_;
  v1::Frame after_;
  v1::Frame other_;
  v1::Frame* large_ = nullptr;  // Holds more memory than is worth keeping.
  uint32_t process_ = 0;
  std::string_view reason_;
};

// Why `frame` cannot be, empty if it can.
std::string_view CheckFrame(const v1::Frame& frame);

// Cuts a stream of bytes into delimited messages (a varint of the length, then the message), as they come.
class DelimitedReader {
 public:
  enum class Result {
    kMessage,   // *message is the next one, valid until the next call of Add.
    kNeedMore,  // Add more bytes.
    kTooLong,   // The length announced is 0, above kMaxFrame, or no varint: the stream cannot be read any further.
  };
  void Add(std::string_view bytes);
  Result Next(std::string_view* message);

  // Bytes held: grows with what came, never with what was announced.
  size_t held() const { return buffer_.size(); }
  // Whether a message has begun that is not complete.
  bool partial() const { return read_ < buffer_.size(); }

 private:
  std::string buffer_;
  size_t read_ = 0;  // Of buffer_, given out.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_INGEST_FRAME_DECODER_H_
