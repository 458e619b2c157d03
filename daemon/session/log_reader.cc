#include "daemon/session/log_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "daemon/session/log_format.h"
#include "daemon/session/stored_model.h"
#include "daemon/session/tracker.h"
#include "daemon/session/truth.h"

namespace ocpwatch {

namespace {

// What is read from the file at once: most blocks compress to far less.
constexpr size_t kReadBytes = size_t{256} << 10;

// Of a zstd frame (RFC 8878): magic, descriptor, window, dictionary, content size.
constexpr size_t kMaxFrameHeader = 4 + 1 + 1 + 4 + 8;

// Up to `size` bytes from `offset` on; fewer at the end of the file or on an error.
size_t ReadAt(int fd, uint64_t offset, char* to, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t got = pread(fd, to + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

bool IsSkippable(std::string_view bytes) {
  uint32_t magic = 0;
  if (bytes.size() < sizeof(magic)) return false;
  std::memcpy(&magic, bytes.data(), sizeof(magic));
  return (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

}  // namespace

LogReader::~LogReader() { close(fd_); }

absl::StatusOr<std::unique_ptr<LogReader>> LogReader::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, path);
  auto reader = std::unique_ptr<LogReader>(new LogReader(fd));
  struct stat status;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is not a session log: it is no regular file"));
  }
  char magic[4] = {};
  const size_t got = ReadAt(fd, 0, magic, sizeof(magic));
  const uint32_t zstd_magic = ZSTD_MAGICNUMBER;
  if (std::memcmp(magic, &zstd_magic, got) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is not a session log"));
  }
  if (reader->ReadBlock() != Block::kRead) {
    if (reader->ending_ == LogEnding::kTorn && reader->offset_ == 0 && !reader->damage_is_tear_) {
      return absl::InvalidArgumentError(absl::StrCat(path, " is not a session log: ", reader->damage_));
    }
    return absl::DataLossError(absl::StrCat(path, " ends before its header is complete"));
  }
  v1::Event event;
  bool broken = false;
  if (!reader->NextMessage(&event, &broken) || !event.has_header()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is not a session log: it does not begin with a header"));
  }
  if (event.header().format() != kLogFormat) {
    const bool newer = event.header().format() > kLogFormat;
    return absl::FailedPreconditionError(
        absl::StrCat(path, " has log format ", event.header().format(), ", which is ", newer ? "newer" : "older",
                     " than this ocp-watch's ", kLogFormat,
                     newer ? "; read it with the ocp-watch that wrote it" : "; record the session again"));
  }
  reader->header_ = std::move(*event.mutable_header());
  return reader;
}

LogReader::Block LogReader::Torn(std::string_view what, bool tear) {
  block_.clear();
  ending_ = LogEnding::kTorn;
  damage_ = absl::StrCat(std::string(what), " at byte ", offset_);
  damage_is_tear_ = tear;
  return Block::kBroken;
}

// Makes compressed_ hold at least `size` bytes of the file from offset_ on, or as many as there are.
std::string_view LogReader::Window(size_t size) {
  const uint64_t end = window_offset_ + compressed_.size();
  if (offset_ < window_offset_ || offset_ + size > end) {
    // Keep what is there of it already.
    if (offset_ >= window_offset_ && offset_ < end) {
      compressed_.erase(0, offset_ - window_offset_);
    } else {
      compressed_.clear();
    }
    window_offset_ = offset_;
    const size_t have = compressed_.size();
    compressed_.resize(std::max(size, kReadBytes));
    compressed_.resize(have + ReadAt(fd_, offset_ + have, compressed_.data() + have, compressed_.size() - have));
  }
  return std::string_view(compressed_).substr(offset_ - window_offset_);
}

LogReader::Block LogReader::ReadBlock() {
  block_.clear();
  position_ = 0;
  while (true) {
    std::string_view bytes = Window(kMaxFrameHeader);
    if (bytes.empty()) {
      ending_ = LogEnding::kOpen;
      return Block::kEnd;
    }
    const bool skippable = IsSkippable(bytes);
    if (!skippable) {
      const unsigned long long content = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
      if (content == ZSTD_CONTENTSIZE_ERROR) {
        return bytes.size() < kMaxFrameHeader ? Torn("it ends", true) : Torn("there is no zstd frame", false);
      }
      if (content == ZSTD_CONTENTSIZE_UNKNOWN || content > kMaxBlockBytes) {
        return Torn("there is a zstd frame as no session log has it", false);
      }
      block_.resize(content);
    }
    // The header does not say how long the compressed frame is; its blocks do.
    size_t size = ZSTD_findFrameCompressedSize(bytes.data(), bytes.size());
    for (size_t want = kReadBytes; ZSTD_isError(size) != 0; want *= 2) {
      bytes = Window(want);
      size = ZSTD_findFrameCompressedSize(bytes.data(), bytes.size());
      if (ZSTD_isError(size) == 0) break;
      if (bytes.size() < want) return Torn("it ends in the middle of a block", true);
      if (want > kMaxBlockBytes) return Torn("a block is damaged", false);
    }
    if (skippable) {
      offset_ += size;
      continue;
    }
    const size_t got = ZSTD_decompress(block_.data(), block_.size(), bytes.data(), size);
    if (ZSTD_isError(got) != 0 || got != block_.size()) return Torn("a block is damaged", false);
    offset_ += size;
    return Block::kRead;
  }
}

bool LogReader::NextMessage(v1::Event* event, bool* broken) {
  *broken = false;
  if (position_ >= block_.size()) return false;
  uint64_t size = 0;
  int shift = 0;
  size_t position = position_;
  *broken = true;
  for (;; shift += 7) {
    if (position >= block_.size() || shift > 28) return false;
    const auto byte = static_cast<unsigned char>(block_[position++]);
    size |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) break;
  }
  if (size > block_.size() - position) return false;
  if (!event->ParseFromArray(block_.data() + position, static_cast<int>(size))) return false;
  position_ = position + size;
  *broken = false;
  return true;
}

bool LogReader::Next(v1::Event* event) {
  if (ending_ == LogEnding::kComplete || (ending_ == LogEnding::kTorn && !damage_is_tear_)) return false;
  ending_ = LogEnding::kNotRead;
  damage_.clear();
  while (true) {
    bool broken = false;
    if (NextMessage(event, &broken)) {
      if (event->has_summary()) {
        ending_ = LogEnding::kComplete;
        return false;
      }
      return true;
    }
    if (broken) {
      Torn("an event cannot be read", false);
      return false;
    }
    if (ReadBlock() != Block::kRead) return false;
  }
}

uint64_t LogReader::file_bytes() const {
  struct stat status;
  return fstat(fd_, &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

absl::Status LogReader::GoToSummary() {
  const uint64_t size = file_bytes();
  LogFooter footer;
  const LogFooter expected;
  if (size < sizeof(footer) ||
      ReadAt(fd_, size - sizeof(footer), reinterpret_cast<char*>(&footer), sizeof(footer)) != sizeof(footer) ||
      footer.magic != expected.magic || footer.size != expected.size || footer.mark != expected.mark) {
    return absl::NotFoundError("the log has no summary");
  }
  if (footer.summary_offset > size) return absl::DataLossError("the log's footer is damaged");
  offset_ = footer.summary_offset;
  ending_ = LogEnding::kNotRead;
  return absl::OkStatus();
}

absl::Status LogReader::ReadTotals(v1::SessionTotals* totals) {
  if (absl::Status status = GoToSummary(); !status.ok()) return status;
  v1::Event event;
  bool broken = false;
  if (ReadBlock() != Block::kRead || !NextMessage(&event, &broken)) {
    return absl::DataLossError("the log's summary is damaged");
  }
  if (!event.summary().has_totals()) return absl::NotFoundError("the log has no totals");
  *totals = std::move(*event.mutable_summary()->mutable_totals());
  return absl::OkStatus();
}

absl::Status LogReader::ReadSummary(Trace* trace) {
  if (absl::Status status = GoToSummary(); !status.ok()) return status;
  trace->start_ns = header_.start_ns();
  v1::Event event;
  bool any = false;
  while (ReadBlock() == Block::kRead) {
    bool broken = false;
    while (NextMessage(&event, &broken)) {
      if (!event.has_summary()) return absl::DataLossError("the log's footer is damaged");
      if (absl::Status status = LoadModelPart(event.summary(), trace); !status.ok()) return status;
      any = true;
    }
    if (broken) return absl::DataLossError("the log's summary is damaged");
  }
  if (!any || ending_ == LogEnding::kTorn) return absl::DataLossError("the log's summary is damaged");
  ending_ = LogEnding::kComplete;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<LoadedLog>> LoadLog(const std::string& path) {
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Open(path);
  if (!reader.ok()) return reader.status();
  auto log = std::make_unique<LoadedLog>();
  if (!(*reader)->ReadSummary(&log->trace).ok()) return ReplayLog(path);
  log->header = (*reader)->header();
  log->ending = LogEnding::kComplete;
  log->log_bytes = (*reader)->file_bytes();
  return log;
}

absl::StatusOr<std::unique_ptr<LoadedLog>> ReplayLog(const std::string& path) {
  absl::StatusOr<std::unique_ptr<LogReader>> opened = LogReader::Open(path);
  if (!opened.ok()) return opened.status();
  LogReader& reader = **opened;
  auto log = std::make_unique<LoadedLog>();
  log->replayed = true;
  log->header = reader.header();
  Tracker tracker(&log->trace);
  tracker.Begin(log->header);
  v1::Event event;
  while (reader.Next(&event)) tracker.Apply(event);
  tracker.Close([](uint32_t) { return false; });
  log->ending = reader.ending();
  log->log_bytes = reader.file_bytes();
  v1::Truth& truth = log->trace.truth;
  if (log->ending == LogEnding::kTorn) {
    truth.set_complete(false);
    truth.add_notes(absl::StrCat("The log is damaged: ", reader.damage(), "."));
  } else if (log->ending == LogEnding::kOpen) {
    truth.set_complete(false);
    truth.add_notes("The log was not closed: the session still runs, or its daemon ended before it did.");
  }
  return log;
}

v1::SessionRecord MakeRecord(const LoadedLog& log, const std::string& path) {
  v1::SessionRecord record = DescribeHeader(log.header);
  record.set_state(log.ending == LogEnding::kComplete ? v1::SESSION_FINISHED : v1::SESSION_INTERRUPTED);
  record.set_log(path);
  record.set_log_bytes(log.log_bytes);
  DescribeTrace(log.trace, &record);
  return record;
}

v1::SessionRecord DescribeHeader(const v1::SessionHeader& header) {
  v1::SessionRecord record;
  record.set_id(header.id());
  record.set_name(header.name());
  record.set_mode(header.mode());
  *record.mutable_argv() = header.argv();
  record.set_cwd(header.cwd());
  record.set_host(header.host());
  record.set_start_unix_ns(header.start_unix_ns());
  record.set_log_format(header.format());
  return record;
}

void DescribeTrace(const Trace& trace, v1::SessionRecord* record) {
  record->set_counted(true);
  record->set_events(trace.events);
  record->set_processes(trace.processes);
  record->set_commands(trace.commands().size());
  uint64_t end_ns = trace.end.time_ns();
  if (trace.end.how_case() != v1::SessionEnd::HOW_NOT_SET) {
    *record->mutable_end() = trace.end;
  } else {
    for (const Command& command : trace.commands()) end_ns = std::max(end_ns, command.end_ns);
  }
  record->set_duration_ns(end_ns > trace.start_ns ? static_cast<int64_t>(end_ns - trace.start_ns) : 0);
  *record->mutable_truth() = trace.truth;
  record->mutable_truth()->clear_notes();
  for (std::string& sentence : NotSeen(trace)) record->mutable_truth()->add_notes(std::move(sentence));
}

}  // namespace ocpwatch
