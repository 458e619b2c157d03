#include "daemon/session/totals.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "daemon/session/log_format.h"
#include "daemon/session/log_writer.h"
#include "tests/unit/session/events.h"

namespace ocpwatch {
namespace {

void Fill(Trace* trace) {
  trace->start_ns = 1000;
  trace->events = 90;
  trace->processes = 4;
  trace->calls = {0, 3, 8};
  trace->end.set_exit_status(2);
  trace->end.set_time_ns(9000);
  for (CommandId id = 1; id <= 30; ++id) {
    Command& command = trace->NewCommand();
    command.parent = id - 1;
    command.argv = {"cc", std::to_string(id)};
    command.start_ns = 2000;
    command.end_ns = 2000 + 10 * id;
    command.end = v1::END_EXIT;
    command.end_value = id % 10 == 0 ? 1 : 0;
    trace->AddUse(id, trace->Intern("/src/a.h"), kRead, 5);
    trace->AddUse(id, trace->Intern("/src/" + std::to_string(id) + ".o"), kWritten, 5);
    trace->AddUse(id, trace->Intern("/include/a.h"), kMissing, 5);
  }
}

void WriteLog(const std::string& path, const Trace& trace) {
  auto writer = LogWriter::Create(*CreateAppendFile(path), TestHeader());
  REQUIRE(writer.ok());
  REQUIRE((*writer)->Finish(trace).ok());
}

uint64_t SummaryOffset(const std::string& bytes) {
  LogFooter footer;
  std::memcpy(&footer, bytes.data() + bytes.size() - sizeof(footer), sizeof(footer));
  return footer.summary_offset;
}

TEST_CASE("Totals count what the model holds") {
  Trace trace;
  Fill(&trace);
  const v1::SessionTotals totals = MakeTotals(trace);
  CHECK(totals.record().commands() == 30);
  CHECK(totals.record().events() == 90);
  CHECK(totals.record().processes() == 4);
  CHECK(totals.record().duration_ns() == 8000);
  CHECK(totals.record().end().exit_status() == 2);
  CHECK(totals.failed_commands() == 3);
  CHECK(totals.files_read() == 1);
  CHECK(totals.files_written() == 30);
  CHECK(totals.files_missing() == 1);
  REQUIRE(totals.slowest_size() == kSlowestCommands);
  CHECK(totals.slowest(0).id() == 30);
  CHECK(totals.slowest(0).argv(1) == "30");
  CHECK(totals.slowest(9).id() == 21);
  CHECK(totals.calls_size() == 3);
}

TEST_CASE("A log's totals tell the same of the session as its model") {
  TemporaryDirectory directory;
  Trace trace;
  Fill(&trace);
  WriteLog(directory / "log", trace);
  const auto totals = LoadTotals(directory / "log");
  REQUIRE(totals.ok());
  const auto log = LoadLog(directory / "log");
  REQUIRE(log.ok());
  CHECK(totals->totals.SerializeAsString() == MakeTotals((*log)->trace).SerializeAsString());
  CHECK(totals->record.SerializeAsString() == MakeRecord(**log, directory / "log").SerializeAsString());
  CHECK(totals->header.SerializeAsString() == (*log)->header.SerializeAsString());
}

TEST_CASE("Totals need no other block than theirs, and are made again where it is damaged") {
  TemporaryDirectory directory;
  Trace trace;
  Fill(&trace);
  WriteLog(directory / "log", trace);
  const std::string whole = ReadWhole(directory / "log");
  // The model's block ends where the footer begins; that of the totals begins the summary.
  const bool of_totals = GENERATE(false, true);
  std::string damaged = whole;
  char& byte = damaged[of_totals ? SummaryOffset(whole) + 30 : whole.size() - sizeof(LogFooter) - 30];
  byte = static_cast<char>(byte ^ 0x40);
  WriteWhole(directory / "damaged", damaged);
  const auto totals = LoadTotals(directory / "damaged");
  REQUIRE(totals.ok());
  // No event was written, so a replay finds nothing.
  CHECK(totals->record.commands() == (of_totals ? 0 : 30));
  CHECK(totals->record.truth().complete() == trace.truth.complete());
  CHECK((totals->record.state() == v1::SESSION_FINISHED) == !of_totals);
}

TEST_CASE("The totals of a log that was not closed are made by replay") {
  TemporaryDirectory directory;
  Frames frames;
  {
    auto writer = LogWriter::Create(*CreateAppendFile(directory / "log"), TestHeader());
    REQUIRE(writer.ok());
    (*writer)->AppendFrame(frames.Image(1, 100, 0, "/usr/bin/make", {"make"}).SerializeAsString());
  }
  const auto totals = LoadTotals(directory / "log");
  REQUIRE(totals.ok());
  CHECK(totals->record.commands() == 1);
  CHECK(totals->record.state() == v1::SESSION_INTERRUPTED);
  CHECK_FALSE(totals->record.truth().complete());
  REQUIRE(totals->totals.slowest_size() == 1);
  CHECK(totals->totals.slowest(0).argv(0) == "make");
}

TEST_CASE("A log that is none has no totals") {
  TemporaryDirectory directory;
  CHECK(LoadTotals(directory / "log").status().code() == absl::StatusCode::kNotFound);
  WriteWhole(directory / "log", "hello, this is text");
  CHECK(LoadTotals(directory / "log").status().code() == absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ocpwatch
