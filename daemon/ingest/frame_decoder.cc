#include "daemon/ingest/frame_decoder.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>

namespace ocpwatch {
namespace {

using google::protobuf::io::CodedInputStream;

// Fields of Frame with their wire type.
constexpr uint32_t kProcessTag = 1 << 3 | 0;
constexpr uint32_t kTimeTag = 2 << 3 | 1;
constexpr uint32_t kProcTag = v1::Frame::kProcFieldNumber << 3 | 2;
constexpr uint32_t kBeforeTag = v1::Frame::kBeforeFieldNumber << 3 | 2;
constexpr uint32_t kAfterTag = v1::Frame::kAfterFieldNumber << 3 | 2;

// A frame of an argv this long leaves protobuf with megabytes of empty strings: not kept.
constexpr size_t kLargeFrame = size_t{32} * 1024;
// A length of at most kMaxFrame fits three bytes; a longer varint is no length of ours.
constexpr size_t kMaxLengthBytes = 3;
// Bytes given out are removed from the buffer once they are so many, not message by message.
constexpr size_t kCompactBytes = size_t{64} * 1024;

std::string_view CheckProc(const v1::Proc& proc) {
  if (!v1::Proc::Kind_IsValid(proc.kind())) return "an unknown kind of Proc";
  for (const std::string* path : {&proc.executable(), &proc.requested(), &proc.cwd()}) {
    if (path->size() > kMaxPathBytes) return "a path that is too long";
  }
  if (proc.libraries_size() > kMaxLibraries) return "too many libraries";
  for (const std::string& path : proc.libraries()) {
    if (path.size() > kMaxPathBytes) return "a path that is too long";
  }
  if (proc.argv_size() > kMaxArguments || proc.environment_size() > kMaxArguments) return "too many arguments";
  return {};
}

// What BeforeCall and AfterCall have in common.
template <typename Call>
std::string_view CheckCall(const Call& call) {
  if (call.function() >= kMaxFunctions) return "a function that does not exist";
  if (call.path().size() > kMaxPathBytes || call.path2().size() > kMaxPathBytes) return "a path that is too long";
  if (call.argv_size() > kMaxArguments) return "too many arguments";
  if (!v1::OpaqueReason_IsValid(call.opaque())) return "an unknown reason to be opaque";
  return {};
}

}  // namespace

std::string_view CheckFrame(const v1::Frame& frame) {
  if (frame.process() == 0) return "a frame without its process";
  switch (frame.body_case()) {
    case v1::Frame::kProc:
      return CheckProc(frame.proc());
    case v1::Frame::kBefore:
      if (frame.before().environment_size() > kMaxArguments) return "too many arguments";
      return CheckCall(frame.before());
    case v1::Frame::kAfter:
      if (frame.after().result_path().size() > kMaxPathBytes) return "a path that is too long";
      return CheckCall(frame.after());
    case v1::Frame::kLost:
      return {};
    case v1::Frame::BODY_NOT_SET:
      break;
  }
  return "a frame without a body";
}

FrameDecoder::FrameDecoder() = default;

const v1::Frame* FrameDecoder::Decode(std::string_view bytes) {
  if (large_ != nullptr) {
    *large_ = v1::Frame();
    large_ = nullptr;
  }
  reason_ = {};
  process_ = 0;
  if (bytes.size() > kMaxFrame) return Refuse("a frame that is too long");
  v1::Frame* frame = Parse(bytes);
  if (frame != nullptr && bytes.size() > kLargeFrame) large_ = frame;
  if (frame == nullptr) return Refuse("a frame that is no protobuf message");
  process_ = frame->process();
  const std::string_view why = CheckFrame(*frame);
  return why.empty() ? frame : Refuse(why);
}

const v1::Frame* FrameDecoder::Refuse(std::string_view reason) {
  reason_ = reason;
  return nullptr;
}

v1::Frame* FrameDecoder::Parse(std::string_view bytes) {
  v1::Frame* frame = ParseUsual(bytes);
  if (frame != nullptr) return frame;
  return other_.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ? &other_ : nullptr;
}

v1::Frame* FrameDecoder::ParseUsual(std::string_view bytes) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  uint32_t process = 0;
  uint64_t time_ns = 0;
  uint32_t size = 0;
  if (in.ReadTag() != kProcessTag || !in.ReadVarint32(&process)) return nullptr;
  process_ = process;
  if (in.ReadTag() != kTimeTag || !in.ReadLittleEndian64(&time_ns)) return nullptr;
  const uint32_t tag = in.ReadTag();
  if (!in.ReadVarint32(&size) || size != bytes.size() - static_cast<size_t>(in.CurrentPosition())) return nullptr;
  const char* body = bytes.data() + bytes.size() - size;
  v1::Frame* frame = nullptr;
  bool parsed = false;
  if (tag == kAfterTag) {
    frame = &after_;
    parsed = frame->mutable_after()->ParseFromArray(body, static_cast<int>(size));
  } else if (tag == kBeforeTag) {
    frame = &before_;
    parsed = frame->mutable_before()->ParseFromArray(body, static_cast<int>(size));
  } else if (tag == kProcTag) {
    frame = &proc_;
    parsed = frame->mutable_proc()->ParseFromArray(body, static_cast<int>(size));
  }
  if (!parsed) return nullptr;
  frame->set_process(process);
  frame->set_time_ns(time_ns);
  return frame;
}

void DelimitedReader::Add(std::string_view bytes) {
  if (read_ == buffer_.size()) {
    buffer_.clear();
    read_ = 0;
  } else if (read_ > kCompactBytes) {
    buffer_.erase(0, read_);
    read_ = 0;
  }
  buffer_.append(bytes);
}

DelimitedReader::Result DelimitedReader::Next(std::string_view* message) {
  const std::string_view rest = std::string_view(buffer_).substr(read_);
  size_t length = 0;
  size_t used = 0;
  for (;; ++used) {
    if (used == kMaxLengthBytes) return Result::kTooLong;
    if (used == rest.size()) return Result::kNeedMore;
    const auto byte = static_cast<unsigned char>(rest[used]);
    length |= static_cast<size_t>(byte & 0x7f) << (7 * used);
    if ((byte & 0x80) == 0) break;
  }
  ++used;
  if (length == 0 || length > kMaxFrame) return Result::kTooLong;
  if (rest.size() - used < length) return Result::kNeedMore;
  *message = rest.substr(used, length);
  read_ += used + length;
  return Result::kMessage;
}

}  // namespace ocpwatch
