#include "daemon/ingest/ring.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "daemon/ingest/futex.h"

namespace ocpwatch {
namespace {

constexpr size_t kTokenBytes = sizeof(RingHeader::token);

absl::Status Failed(const char* call) {
  const int error = errno;
  const std::string message = absl::StrCat("cannot make the ring of a session: ", call, ": ", strerror(error));
  const bool exhausted = error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOSPC;
  return exhausted ? absl::ResourceExhaustedError(message) : absl::InternalError(message);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Ring>> Ring::Create(const RingOptions& options) {
  if (!std::has_single_bit(options.data_size) || options.data_size < kMinDataSize || options.data_size / 8 > kMaxSpan) {
    return absl::InvalidArgumentError(absl::StrCat("a ring cannot have ", options.data_size, " bytes"));
  }
  if (options.behaviours.size() > kMaxFunctions) {
    return absl::InvalidArgumentError(absl::StrCat("a ring has room for the behaviours of ", kMaxFunctions,
                                                   " functions, not ", options.behaviours.size()));
  }
  std::string token(kTokenBytes, '\0');
  if (getrandom(token.data(), token.size(), 0) != static_cast<ssize_t>(token.size())) return Failed("getrandom");
  UniqueFd fd(memfd_create("ocp-watch-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return Failed("memfd_create");
  const off_t size = static_cast<off_t>(kRingDataOffset + options.data_size);
  if (ftruncate(fd.get(), size) != 0) return Failed("ftruncate");
  if (fchmod(fd.get(), 0600) != 0) return Failed("fchmod");
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) return Failed("F_ADD_SEALS");
  void* memory = mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return Failed("mmap");
  return std::unique_ptr<Ring>(new Ring(std::move(fd), memory, options, std::move(token)));
}

Ring::Ring(UniqueFd fd, void* memory, const RingOptions& options, std::string token)
    : fd_(std::move(fd)),
      token_(std::move(token)),
      data_size_(options.data_size),
      behaviours_(kMaxFunctions, '\0'),
      // All zero as it comes; a page that nobody writes is never there.
      header_(static_cast<RingHeader*>(memory)),
      data_(static_cast<unsigned char*>(memory) + kRingDataOffset) {
  std::copy(options.behaviours.begin(), options.behaviours.end(), behaviours_.begin());
  header_->protocol = kProtocol;
  header_->data_offset = kRingDataOffset;
  header_->data_size = data_size_;
  memcpy(header_->token, token_.data(), token_.size());
  header_->daemon_pid = getpid();
  header_->collect_environment = options.collect_environment ? 1 : 0;
  header_->next_process.store(2, std::memory_order_relaxed);
  memcpy(header_->behaviours, behaviours_.data(), behaviours_.size());
  // Last: who finds the magic finds the rest.
  std::atomic_ref(header_->magic).store(kRingMagic, std::memory_order_release);
}

Ring::~Ring() {
  Close();
  munmap(static_cast<void*>(header_), kRingDataOffset + data_size_);
}

std::atomic<uint64_t>& Ring::Word(uint64_t position) {
  return *reinterpret_cast<std::atomic<uint64_t>*>(data_ + (position & (data_size_ - 1)));
}

std::string Ring::WatchVariable(uint32_t process, int32_t pid, int32_t parent_pid, std::string_view socket_path) const {
  const std::string token = absl::BytesToHexString(absl::string_view(token_.data(), token_.size()));
  return absl::StrCat(kProtocol, ":", getpid(), ":", fd_.get(), ":", token, ":", process, ":", pid, ":", parent_pid,
                      ":", absl::string_view(socket_path.data(), socket_path.size()));
}

void Ring::Answer(uint32_t index, const v1::Reply& reply) {
  const absl::MutexLock lock(&answering_);
  ReplySlot& slot = header_->slots[index];
  uint32_t state = slot.state.load(std::memory_order_acquire);
  if (state != static_cast<uint32_t>(ReplyState::kWaiting)) return;
  std::atomic_ref(slot.size).store(static_cast<uint32_t>(reply.ByteSizeLong()), std::memory_order_relaxed);
  reply.SerializeToArray(header_->replies[index], kReplyBytes);
  if (slot.state.compare_exchange_strong(state, static_cast<uint32_t>(ReplyState::kAnswered))) {
    FutexWakeAll(slot.state);
  }
}

void Ring::Close() {
  header_->state.store(static_cast<uint32_t>(RingState::kClosed), std::memory_order_seq_cst);
  header_->room.fetch_add(1, std::memory_order_seq_cst);
  FutexWakeAll(header_->room);
  v1::Reply reply;
  reply.mutable_proceed();
  for (uint32_t index = 0; index < kReplySlots; ++index) Answer(index, reply);
}

}  // namespace ocpwatch
