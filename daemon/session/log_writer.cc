#include "daemon/session/log_writer.h"

#include <zstd.h>

#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/session/log_format.h"
#include "daemon/session/stored_model.h"
#include "daemon/session/totals.h"

namespace ocpwatch {

namespace {

static_assert(std::endian::native == std::endian::little, "LogFooter is written as it lies in memory");

constexpr char kFrameTag = v1::Event::kFrameFieldNumber << 3 | 2;  // Length-delimited.

void AppendVarint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

size_t VarintSize(uint64_t value) { return (std::bit_width(value | 1) + 6) / 7; }

void AppendDelimited(const v1::Event& event, std::string* out) {
  AppendVarint(event.ByteSizeLong(), out);
  event.AppendToString(out);
}

}  // namespace

LogWriter::LogWriter(std::unique_ptr<AppendFile> file, int level)
    : file_(std::move(file)), context_(ZSTD_createCCtx()) {
  ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 1);
}

absl::StatusOr<std::unique_ptr<LogWriter>> LogWriter::Create(std::unique_ptr<AppendFile> file,
                                                             const v1::SessionHeader& header, int level) {
  auto writer = std::unique_ptr<LogWriter>(new LogWriter(std::move(file), level));
  v1::Event event;
  *event.mutable_header() = header;
  event.mutable_header()->set_format(kLogFormat);
  std::string block;
  AppendDelimited(event, &block);
  if (block.size() > kMaxBlockBytes)
    return absl::InvalidArgumentError("the command line is too long for a session log");
  writer->WriteBlock(block);
  if (absl::Status status = writer->status(); !status.ok()) return status;
  return writer;
}

void LogWriter::Start() {
  absl::MutexLock lock(&mutex_);
  StartThread();
}

void LogWriter::StartThread() {
  if (!std::exchange(started_, true)) thread_ = std::thread([this] { Run(); });
}

LogWriter::~LogWriter() {
  Stop();
  ZSTD_freeCCtx(context_);
}

void LogWriter::Begin(size_t event_bytes) {
  if (!block_.empty() && block_.size() + event_bytes > kBlockBytes) SealBlock();
  if (block_.empty()) {
    block_began_ = absl::Now();
    if (block_.capacity() < kBlockBytes) block_.reserve(kBlockBytes + 4096);
  }
}

void LogWriter::AppendFrame(std::string_view bytes) {
  const size_t event_bytes = 1 + VarintSize(bytes.size()) + bytes.size();
  absl::MutexLock lock(&mutex_);
  if (!status_.ok()) return;
  Begin(event_bytes + 8);
  AppendVarint(event_bytes, &block_);
  block_.push_back(kFrameTag);
  AppendVarint(bytes.size(), &block_);
  block_.append(bytes);
}

void LogWriter::AppendEvent(const v1::Event& event) {
  absl::MutexLock lock(&mutex_);
  if (!status_.ok()) return;
  Begin(event.ByteSizeLong() + 8);
  AppendDelimited(event, &block_);
}

void LogWriter::SealBlock() {
  StartThread();
  queue_.push_back(std::move(block_));
  queued_blocks_.store(queue_.size(), std::memory_order_relaxed);
  block_.clear();
  if (!spare_.empty()) {
    block_ = std::move(spare_.front());
    spare_.pop_front();
    block_.clear();
  }
}

void LogWriter::WaitForRoom() {
  if (queued_blocks_.load(std::memory_order_relaxed) < kMaxQueuedBlocks) return;
  absl::MutexLock lock(&mutex_);
  const auto has_room = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return queue_.size() < kMaxQueuedBlocks || !status_.ok();
  };
  mutex_.Await(absl::Condition(&has_room));
}

void LogWriter::Flush() {
  absl::MutexLock lock(&mutex_);
  if (!block_.empty()) SealBlock();
  const auto is_done = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return (queue_.empty() && !writing_) || !status_.ok() || stop_;
  };
  mutex_.Await(absl::Condition(&is_done));
}

void LogWriter::Run() {
  absl::MutexLock lock(&mutex_);
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !queue_.empty() || stop_; };
  while (true) {
    if (block_.empty()) {
      const auto has_anything = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return has_work() || !block_.empty(); };
      mutex_.Await(absl::Condition(&has_anything));
    }
    if (!has_work()) mutex_.AwaitWithDeadline(absl::Condition(&has_work), block_began_ + kMaxBlockAge);
    if (queue_.empty() && !block_.empty() && (stop_ || absl::Now() >= block_began_ + kMaxBlockAge)) SealBlock();
    if (queue_.empty()) {
      if (stop_) return;
      continue;
    }
    std::string block = std::move(queue_.front());
    queue_.pop_front();
    queued_blocks_.store(queue_.size(), std::memory_order_relaxed);
    writing_ = true;
    mutex_.Unlock();
    WriteBlock(block);
    mutex_.Lock();
    writing_ = false;
    if (spare_.size() < 2) spare_.push_back(std::move(block));
  }
}

void LogWriter::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
    started_ = true;
  }
  if (thread_.joinable()) {
    thread_.join();
  } else {
    Run();  // What was appended before any start; nothing when it has ended before.
  }
}

void LogWriter::WriteBlock(std::string_view block) {
  compressed_.resize(ZSTD_compressBound(block.size()));
  const size_t size = ZSTD_compress2(context_, compressed_.data(), compressed_.size(), block.data(), block.size());
  if (ZSTD_isError(size) != 0) {
    absl::MutexLock lock(&mutex_);
    if (status_.ok()) status_ = absl::InternalError(absl::StrCat("compressing the log: ", ZSTD_getErrorName(size)));
    return;
  }
  WriteRaw(std::string_view(compressed_).substr(0, size));
}

void LogWriter::WriteRaw(std::string_view bytes) {
  uint64_t before = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (!status_.ok()) return;
    before = bytes_;
  }
  absl::Status status = file_->Append(bytes);
  // What got into the file of a failed block would look like damage; without it the log ends with a whole block.
  if (!status.ok()) file_->Truncate(before).IgnoreError();
  absl::MutexLock lock(&mutex_);
  if (status.ok()) {
    bytes_ += bytes.size();
  } else {
    status_ = std::move(status);
    queue_.clear();
    queued_blocks_.store(0, std::memory_order_relaxed);
    block_.clear();
  }
}

absl::Status LogWriter::Finish(const Trace& trace) {
  Stop();
  const uint64_t summary_offset = bytes();
  std::string block;
  const auto write = [&](const v1::StoredModel& part) {
    v1::Event event;
    *event.mutable_summary() = part;
    block.clear();
    AppendDelimited(event, &block);
    WriteBlock(block);
    return status();
  };
  v1::StoredModel totals;
  *totals.mutable_totals() = MakeTotals(trace);
  if (absl::Status status = write(totals); !status.ok()) return status;
  if (absl::Status status = StoreModel(trace, write); !status.ok()) return status;
  LogFooter footer;
  footer.summary_offset = summary_offset;
  footer.events = trace.events;
  WriteRaw(std::string_view(reinterpret_cast<const char*>(&footer), sizeof(footer)));
  return status();
}

absl::Status LogWriter::status() const {
  absl::MutexLock lock(&mutex_);
  return status_;
}

uint64_t LogWriter::bytes() const {
  absl::MutexLock lock(&mutex_);
  return bytes_;
}

}  // namespace ocpwatch
