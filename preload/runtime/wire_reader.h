// Reads protobuf's wire format, as far as a Reply needs it. Trusts nothing: a malformed message just ends.
#ifndef OCPWATCH_PRELOAD_RUNTIME_WIRE_READER_H_
#define OCPWATCH_PRELOAD_RUNTIME_WIRE_READER_H_

#include <cstddef>
#include <cstdint>

namespace ocpwatch {

class WireReader {
 public:
  WireReader(const unsigned char* data, size_t size) : at_(data), end_(data + size) {}

  // Goes to the next field; false at the end or where the rest makes no sense.
  bool Next() {
    uint64_t tag = 0;
    if (at_ == end_ || !Varint(&tag)) return false;
    field_ = static_cast<uint32_t>(tag >> 3);
    bytes_ = nullptr;
    switch (tag & 7) {
      case 0:
        return Varint(&value_);
      case 1:
        return Skip(8);
      case 2: {
        uint64_t size = 0;
        if (!Varint(&size) || size > static_cast<size_t>(end_ - at_)) return false;
        bytes_ = at_;
        size_ = static_cast<size_t>(size);
        return Skip(size_);
      }
      case 5:
        return Skip(4);
      default:
        return false;
    }
  }

  // Instead of Next(): one number of a packed list.
  bool NextNumber(uint64_t* value) { return at_ != end_ && Varint(value); }

  uint32_t field() const { return field_; }
  bool is_bytes() const { return bytes_ != nullptr; }
  uint64_t value() const { return value_; }  // Of a varint field.
  const unsigned char* bytes() const { return bytes_; }
  size_t size() const { return size_; }
  size_t rest() const { return static_cast<size_t>(end_ - at_); }  // Bytes behind the field.

 private:
  bool Skip(size_t size) {
    if (size > static_cast<size_t>(end_ - at_)) return false;
    at_ += size;
    return true;
  }
  bool Varint(uint64_t* value) {
    *value = 0;
    for (unsigned shift = 0; shift < 64 && at_ != end_; shift += 7) {
      const unsigned char byte = *at_++;
      *value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  const unsigned char* at_;
  const unsigned char* end_;
  uint32_t field_ = 0;
  uint64_t value_ = 0;
  const unsigned char* bytes_ = nullptr;
  size_t size_ = 0;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_WIRE_READER_H_
