// The frame decoder on any bytes, as one frame and as a stream cut into pieces. What it takes is what protobuf alone
// makes of the same bytes.
#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/ingest/frame_decoder.h"
#include "tests/fuzz/check.h"

namespace {

void AsOneFrame(ocpwatch::FrameDecoder& decoder, std::string_view bytes) {
  const ocpwatch::v1::Frame* frame = decoder.Decode(bytes);
  if (frame == nullptr) {
    FUZZ_CHECK(!decoder.reason().empty());
    return;
  }
  FUZZ_CHECK(frame->process() != 0);
  FUZZ_CHECK(frame->process() == decoder.process());
  ocpwatch::v1::Frame plain;
  FUZZ_CHECK(plain.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  FUZZ_CHECK(plain.SerializeAsString() == frame->SerializeAsString());
}

void AsStream(ocpwatch::FrameDecoder& decoder, std::string_view bytes) {
  ocpwatch::DelimitedReader reader;
  const size_t piece = 1 + static_cast<unsigned char>(bytes[0]);
  for (size_t at = 1; at < bytes.size(); at += piece) {
    reader.Add(bytes.substr(at, piece));
    std::string_view message;
    ocpwatch::DelimitedReader::Result result;
    while ((result = reader.Next(&message)) == ocpwatch::DelimitedReader::Result::kMessage) {
      FUZZ_CHECK(!message.empty() && message.size() <= ocpwatch::kMaxFrame);
      AsOneFrame(decoder, message);
    }
    if (result == ocpwatch::DelimitedReader::Result::kTooLong) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Kept from input to input: a decoder lives as long as its session.
  static ocpwatch::FrameDecoder decoder;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  AsOneFrame(decoder, bytes);
  if (!bytes.empty()) AsStream(decoder, bytes);
  return 0;
}
