#include <unistd.h>
#include <zstd.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "daemon/session/log_format.h"
#include "daemon/session/log_reader.h"
#include "daemon/session/log_writer.h"
#include "daemon/session/stored_model.h"
#include "tests/unit/session/events.h"

namespace ocpwatch {
namespace {

// A disk that fails at its nth write, having written half of it.
class FailingFile final : public AppendFile {
 public:
  FailingFile(const std::string& path, int fail_at) : file_(*CreateAppendFile(path)), left_(fail_at) {}

  absl::Status Append(std::string_view bytes) override {
    if (--left_ > 0) return file_->Append(bytes);
    file_->Append(bytes.substr(0, bytes.size() / 2)).IgnoreError();
    return absl::ResourceExhaustedError("No space left on device");
  }
  absl::Status Truncate(uint64_t size) override { return file_->Truncate(size); }

 private:
  std::unique_ptr<AppendFile> file_;
  int left_;
};

// Writes a log of `events` stats, flushing every `flush_every` of them, and keeps the model of the same.
struct Written {
  Written(const std::string& path, int events, int flush_every = 1 << 30, int fail_at = 1 << 30, bool finish = true) {
    auto created = LogWriter::Create(std::make_unique<FailingFile>(path, fail_at), TestHeader());
    if (!created.ok()) {
      status = created.status();
      return;
    }
    LogWriter& writer = **created;
    const auto write = [&](const v1::Frame& frame) {
      model.OnFrame(frame);
      writer.AppendFrame(frame.SerializeAsString());
      writer.WaitForRoom();
    };
    Tracker& tracker = model;
    tracker.Begin(TestHeader());
    Frames frames;
    write(frames.Image(1, 100, 0, "/usr/bin/make", {"make"}));
    for (int i = 1; i < events; ++i) {
      write(frames.After(1, v1::OP_STAT, "/f/" + std::to_string(i % 100), i % 3 == 0 ? ENOENT : 0));
      if (i % flush_every == 0) writer.Flush();
    }
    v1::Event end;
    end.mutable_end()->set_exit_status(0);
    end.mutable_end()->set_time_ns(frames.time_ns() + 5);
    writer.AppendEvent(end);
    tracker.OnEnd(end.end());
    tracker.Close([](uint32_t) { return false; });
    if (finish) {
      status = writer.Finish(trace);
    } else {
      writer.Flush();
      status = writer.status();
    }
  }
  Trace trace;
  Tracker model{&trace};
  absl::Status status;
};

int CountEvents(LogReader& reader) {
  v1::Event event;
  int events = 0;
  while (reader.Next(&event)) ++events;
  return events;
}

std::string Store(const Trace& trace) { return StoreModel(trace).SerializeAsString(); }

TEST_CASE("A log is read back as it was written, by summary and by replay") {
  TemporaryDirectory directory;
  const int events = GENERATE(1, 2, 1000, 60000);
  const Written written(directory / "log", events);
  REQUIRE(written.status.ok());
  auto loaded = LoadLog(directory / "log");
  REQUIRE(loaded.ok());
  CHECK_FALSE((*loaded)->replayed);
  CHECK((*loaded)->ending == LogEnding::kComplete);
  CHECK((*loaded)->header.id() == "1");
  CHECK(Store((*loaded)->trace) == Store(written.trace));
  auto replayed = ReplayLog(directory / "log");
  REQUIRE(replayed.ok());
  CHECK((*replayed)->replayed);
  CHECK(Store((*replayed)->trace) == Store(written.trace));
  CHECK((*replayed)->trace.start_ns == (*loaded)->trace.start_ns);
}

TEST_CASE("A log is plain zstd of delimited events") {
  TemporaryDirectory directory;
  const Written written(directory / "log", 100);
  const std::string bytes = ReadWhole(directory / "log");
  // As zstd -dc would: frame by frame, skippable ones skipped.
  std::string raw;
  for (size_t at = 0; at < bytes.size();) {
    const size_t size = ZSTD_findFrameCompressedSize(bytes.data() + at, bytes.size() - at);
    REQUIRE_FALSE(ZSTD_isError(size));
    const auto content = ZSTD_getFrameContentSize(bytes.data() + at, bytes.size() - at);
    std::string block(content, '\0');
    REQUIRE(ZSTD_decompress(block.data(), block.size(), bytes.data() + at, size) == block.size());
    raw += block;
    at += size;
  }
  const size_t first = static_cast<unsigned char>(raw[0]) < 0x80 ? 1 : 2;
  v1::Event event;
  const size_t size = first == 1 ? raw[0] : (raw[0] & 0x7f) | raw[1] << 7;
  REQUIRE(event.ParseFromString(raw.substr(first, size)));
  CHECK(event.header().name() == "test");
}

TEST_CASE("A torn tail costs the last block at most, at whatever byte it was torn") {
  TemporaryDirectory directory;
  const Written written(directory / "log", 200, 20, 1 << 30, /*finish=*/false);
  const std::string bytes = ReadWhole(directory / "log");
  int last = -1;
  for (size_t size = 0; size <= bytes.size(); size += 7) {
    WriteWhole(directory / "torn", bytes.substr(0, size));
    auto reader = LogReader::Open(directory / "torn");
    if (!reader.ok()) {
      CHECK(reader.status().code() == absl::StatusCode::kDataLoss);
      CHECK(last == -1);
      continue;
    }
    const int events = CountEvents(**reader);
    CHECK((events == 0 || events % 20 == 1));
    CHECK(events >= last);
    CHECK(((*reader)->ending() == LogEnding::kTorn || (*reader)->ending() == LogEnding::kOpen));
    last = events;
  }
  auto torn = LoadLog(directory / "torn");
  REQUIRE(torn.ok());
  CHECK((*torn)->replayed);
  CHECK_FALSE((*torn)->trace.truth.complete());
}

TEST_CASE("A damaged byte ends the log before the block that it is in") {
  TemporaryDirectory directory;
  const Written written(directory / "log", 200, 20);
  const std::string bytes = ReadWhole(directory / "log");
  for (size_t at = 0; at < bytes.size(); at += 11) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    WriteWhole(directory / "damaged", damaged);
    auto log = ReplayLog(directory / "damaged");
    if (!log.ok()) continue;
    if ((*log)->ending == LogEnding::kComplete) {
      // The events were read and the damage lies behind them.
      CHECK(Store((*log)->trace) == Store(written.trace));
    } else {
      CHECK_FALSE((*log)->trace.truth.complete());
      CHECK((*log)->trace.events <= 200);
    }
    auto loaded = LoadLog(directory / "damaged");
    if (loaded.ok() && !(*loaded)->replayed) CHECK(Store((*loaded)->trace) == Store(written.trace));
  }
}

TEST_CASE("A log that goes on being written can be read on") {
  TemporaryDirectory directory;
  auto writer = LogWriter::Create(*CreateAppendFile(directory / "log"), TestHeader());
  REQUIRE(writer.ok());
  auto reader = LogReader::Open(directory / "log");
  REQUIRE(reader.ok());
  CHECK(CountEvents(**reader) == 0);
  CHECK((*reader)->ending() == LogEnding::kOpen);
  Frames frames;
  for (int round = 1; round <= 3; ++round) {
    (*writer)->AppendFrame(frames.Exit(1, 0).SerializeAsString());
    (*writer)->Flush();
    CHECK(CountEvents(**reader) == 1);
  }
  REQUIRE((*writer)->Finish(Trace()).ok());
  CHECK(CountEvents(**reader) == 0);
  CHECK((*reader)->ending() == LogEnding::kComplete);
}

TEST_CASE("Events reach the file by themselves within the age of a block") {
  TemporaryDirectory directory;
  auto writer = LogWriter::Create(*CreateAppendFile(directory / "log"), TestHeader());
  REQUIRE(writer.ok());
  (*writer)->Start();
  auto reader = LogReader::Open(directory / "log");
  (*writer)->AppendFrame(Frames().Exit(1, 0).SerializeAsString());
  int events = 0;
  for (int i = 0; i < 200 && events == 0; ++i) {
    usleep(10'000);
    events = CountEvents(**reader);
  }
  CHECK(events == 1);
}

TEST_CASE("What is no log of ours is refused with the reason") {
  TemporaryDirectory directory;
  const auto code = [&](std::string_view bytes) {
    WriteWhole(directory / "file", bytes);
    return LogReader::Open(directory / "file").status().code();
  };
  const auto compress = [](std::string_view raw) {
    std::string out(ZSTD_compressBound(raw.size()), '\0');
    out.resize(ZSTD_compress(out.data(), out.size(), raw.data(), raw.size(), 1));
    return out;
  };
  CHECK(LogReader::Open(directory / "missing").status().code() == absl::StatusCode::kNotFound);
  CHECK(LogReader::Open(directory.path()).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(code("") == absl::StatusCode::kDataLoss);
  CHECK(code("hello, this is text") == absl::StatusCode::kInvalidArgument);
  CHECK(code(compress("hello")) == absl::StatusCode::kInvalidArgument);
  CHECK(code(compress(std::string(kMaxBlockBytes + 1, 'x'))) == absl::StatusCode::kInvalidArgument);
  v1::Event event;
  *event.mutable_header() = TestHeader();
  event.mutable_header()->set_format(kLogFormat + 1);
  std::string raw = event.SerializeAsString();
  std::string prefix;
  for (size_t size = raw.size();; size >>= 7) {
    prefix.push_back(static_cast<char>((size & 0x7f) | (size >= 0x80 ? 0x80 : 0)));
    if (size < 0x80) break;
  }
  WriteWhole(directory / "file", compress(prefix + raw));
  const absl::Status newer = LogReader::Open(directory / "file").status();
  CHECK(newer.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(newer.message().find("newer") != absl::string_view::npos);
}

TEST_CASE("A disk that fails at its nth write leaves a log that can be read, for every n") {
  TemporaryDirectory directory;
  for (int n = 1;; ++n) {
    const std::string path = directory / ("log" + std::to_string(n));
    const Written written(path, 100, 10, n);
    if (written.status.ok()) {
      CHECK(n > 12);
      break;
    }
    CHECK(written.status.code() == absl::StatusCode::kResourceExhausted);
    if (n == 1) {
      CHECK(LogReader::Open(path).status().code() == absl::StatusCode::kDataLoss);
      continue;
    }
    auto log = LoadLog(path);
    REQUIRE(log.ok());
    CHECK((*log)->trace.events <= 100);
    CHECK((*log)->trace.events >= static_cast<uint64_t>(std::min(100, (n - 2) * 10)));
    CHECK((*log)->replayed);
    CHECK((*log)->ending != LogEnding::kTorn);
  }
}

TEST_CASE("A log is never written over an old one") {
  TemporaryDirectory directory;
  WriteWhole(directory / "log", "precious");
  CHECK(CreateAppendFile(directory / "log").status().code() == absl::StatusCode::kAlreadyExists);
  CHECK(ReadWhole(directory / "log") == "precious");
}

}  // namespace
}  // namespace ocpwatch
