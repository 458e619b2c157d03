// Writes protobuf's wire format straight into a span of the ring.
//
// The caller knows an upper bound of the frame's size before it claims the span; the encoder never writes past its end
// all the same (another thread may have lengthened an argument since): what does not fit is cut off or left out. A
// nested message gets a length of three bytes, so that it need not be moved once its size is known. Fields that are
// zero are left out, as proto3 does.
//
// By hand and not with protozero: its writer moves a nested message after it is complete, and its headers throw.
#ifndef OCPWATCH_PRELOAD_RUNTIME_FRAME_ENCODER_H_
#define OCPWATCH_PRELOAD_RUNTIME_FRAME_ENCODER_H_

#include <cstddef>
#include <cstdint>

namespace ocpwatch {

class FrameEncoder {
 public:
  // What a field of bytes takes beyond its content, and any number: tag of two bytes, length or value.
  static constexpr size_t kBytesOverhead = 2 + 4;
  static constexpr size_t kNumberSize = 2 + 10;

  FrameEncoder(unsigned char* begin, size_t size) : begin_(begin), at_(begin), end_(begin + size) {}

  size_t size() const { return static_cast<size_t>(at_ - begin_); }

  void Unsigned(uint32_t field, uint64_t value) {
    if (value == 0 || !Fits(kNumberSize)) return;
    Varint(field << 3);
    Varint(value);
  }
  void Int32(uint32_t field, int32_t value) { Unsigned(field, static_cast<uint64_t>(static_cast<int64_t>(value))); }
  void Signed(uint32_t field, int64_t value) {
    Unsigned(field, static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63));
  }
  void Fixed64(uint32_t field, uint64_t value) {
    if (value == 0 || !Fits(kNumberSize)) return;
    Varint(field << 3 | 1);
    __builtin_memcpy(at_, &value, sizeof value);
    at_ += sizeof value;
  }
  void Bytes(uint32_t field, const void* data, size_t size) {
    if (!Fits(kBytesOverhead)) return;
    const size_t room = static_cast<size_t>(end_ - at_) - kBytesOverhead;
    if (size > room) size = room;
    Varint(field << 3 | 2);
    Varint(size);
    __builtin_memcpy(at_, data, size);
    at_ += size;
  }

  // A nested message: what is written until End() belongs to it.
  unsigned char* Begin(uint32_t field) {
    if (!Fits(kBytesOverhead)) return nullptr;
    Varint(field << 3 | 2);
    at_ += 3;
    return at_;
  }
  void End(unsigned char* message) {
    if (message == nullptr) return;
    const size_t size = static_cast<size_t>(at_ - message);
    message[-3] = static_cast<unsigned char>(size | 0x80);
    message[-2] = static_cast<unsigned char>(size >> 7 | 0x80);
    message[-1] = static_cast<unsigned char>(size >> 14 & 0x7f);
  }

 private:
  bool Fits(size_t size) const { return static_cast<size_t>(end_ - at_) >= size; }
  void Varint(uint64_t value) {
    while (value >= 0x80) {
      *at_++ = static_cast<unsigned char>(value | 0x80);
      value >>= 7;
    }
    *at_++ = static_cast<unsigned char>(value);
  }

  unsigned char* const begin_;
  unsigned char* at_;
  unsigned char* const end_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_FRAME_ENCODER_H_
