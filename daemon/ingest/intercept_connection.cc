#include "daemon/ingest/intercept_connection.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/ingest/ring.h"
#include "ocpwatch/v1/version.h"

namespace ocpwatch {

InterceptConnection::InterceptConnection(UniqueFd socket, SessionDirectory& directory, FrameDecoder& decoder,
                                         int64_t now_ns)
    : socket_(std::move(socket)), directory_(directory), decoder_(decoder), waiting_since_ns_(now_ns) {}

bool InterceptConnection::Read(int64_t now_ns) {
  std::array<char, kReadBytes> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): written by recv.
  const ssize_t size = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size > 0) return Receive({buffer.data(), static_cast<size_t>(size)}, now_ns);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (input_.partial()) CutOff("the stream of frames ended in the middle of one");
  return false;
}

bool InterceptConnection::Receive(std::string_view bytes, int64_t now_ns) {
  const bool waited = input_.partial();
  bool complete = false;
  input_.Add(bytes);
  std::string_view message;
  DelimitedReader::Result result;
  while ((result = input_.Next(&message)) == DelimitedReader::Result::kMessage) {
    complete = true;
    if (!OnMessage(message)) return false;
  }
  if (result == DelimitedReader::Result::kTooLong) {
    if (!greeted_) return Refuse("the greeting has a length that cannot be");
    CutOff("a frame with a length that cannot be");
    return false;
  }
  // The clock runs from the first byte of a frame, or from the connect; more bytes of the same do not set it back.
  if (!input_.partial()) {
    input_ = DelimitedReader();  // With its memory: a client may now be silent for hours.
    if (greeted_) waiting_since_ns_ = 0;
  } else if (complete || !waited) {
    waiting_since_ns_ = now_ns;
  }
  return true;
}

bool InterceptConnection::OnMessage(std::string_view message) {
  if (!greeted_) return Greet(message);
  const std::shared_ptr<IngestTarget> target = target_.lock();
  return target != nullptr && DeliverGreeting(*target) && OnFrame(*target, message);
}

bool InterceptConnection::Greet(std::string_view message) {
  const v1::Frame* frame = decoder_.Decode(message);
  if (frame == nullptr) return Refuse(std::string(decoder_.reason()));
  if (!frame->has_proc()) return Refuse("the first frame has to be a Proc");
  const v1::Proc& proc = frame->proc();
  if (proc.protocol() != kProtocol) {
    return Refuse(absl::StrCat("protocol ", proc.protocol(), " is not spoken here, but ", kProtocol));
  }
  const std::shared_ptr<IngestTarget> target =
      proc.token().size() == sizeof(RingHeader::token) ? directory_.Find(proc.token()) : nullptr;
  if (target == nullptr) return Refuse("no running session has this token");

  greeted_ = true;
  process_ = frame->process();
  token_ = proc.token();
  target_ = target;
  greeting_ = message;
  v1::Reply reply;
  v1::Bitmap& bitmap = *reply.mutable_bitmap();
  bitmap.set_protocol(kProtocol);
  bitmap.set_build_id(kBuildId);
  bitmap.set_behaviours(std::string(target->ring().behaviours()));
  return Send(reply, target->ring().fd());
}

bool InterceptConnection::Refuse(std::string why) {
  v1::Reply reply;
  v1::Bitmap& bitmap = *reply.mutable_bitmap();
  bitmap.set_protocol(kProtocol);
  bitmap.set_build_id(kBuildId);
  bitmap.set_refused(std::move(why));
  Send(reply, -1);
  return false;
}

bool InterceptConnection::DeliverGreeting(IngestTarget& target) {
  if (greeting_.empty()) return true;
  const std::string greeting = std::exchange(greeting_, {});
  return OnFrame(target, greeting);
}

bool InterceptConnection::OnFrame(IngestTarget& target, std::string_view message) {
  const v1::Frame* frame = decoder_.Decode(message);
  if (frame == nullptr) {
    CutOff(decoder_.reason());
    return false;
  }
  if (frame->has_proc() && !frame->proc().token().empty() && frame->proc().token() != token_) {
    CutOff("a frame with another session's token");
    return false;
  }
  std::optional<v1::Reply> reply;
  {
    const std::lock_guard lock(target.mutex());
    target.sink().OnFrame(*frame, message);
    if (!frame->has_before() || frame->before().reply_slot() == 0) return true;
    reply = target.decider().Decide(*frame, /*must=*/true, [](const v1::Reply&) {});
  }
  return !reply.has_value() || Send(*reply, -1);
}

void InterceptConnection::CutOff(std::string_view why) {
  const std::shared_ptr<IngestTarget> target = target_.lock();
  if (target == nullptr) return;
  const std::lock_guard lock(target->mutex());
  target->sink().OnDamage(process_, why, 1);
}

bool InterceptConnection::Send(const v1::Reply& reply, int descriptor) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::util::SerializeDelimitedToZeroCopyStream(reply, &stream);
  iovec data{.iov_base = bytes.data(), .iov_len = bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  const ssize_t sent = sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(bytes.size())) return true;
  // A socket buffer holds some thousand answers; whoever lets so many lie waits for none of them.
  if (greeted_ && errno == EAGAIN) CutOff("a process does not read its answers");
  return false;
}

}  // namespace ocpwatch
