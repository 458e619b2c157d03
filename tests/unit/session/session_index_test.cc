#include "daemon/session/session_index.h"

#include <signal.h>
#include <sys/resource.h>

#include <catch2/catch.hpp>

#include "daemon/session/log_writer.h"
#include "tests/unit/session/events.h"

namespace ocpwatch {
namespace {

std::unique_ptr<SessionIndex> OpenIndex(const std::string& directory) {
  auto index = SessionIndex::Open(directory);
  REQUIRE(index.ok());
  return *std::move(index);
}

v1::SessionRecord Add(SessionIndex& index, const std::string& name, v1::SessionState state = v1::SESSION_RUNNING) {
  v1::SessionRecord record;
  record.set_name(name);
  record.set_state(state);
  record.set_counted(state == v1::SESSION_FINISHED);
  REQUIRE(index.Insert(&record).ok());
  return record;
}

void WriteLog(const v1::SessionRecord& record, bool finish) {
  v1::SessionHeader header = TestHeader();
  header.set_name(record.name());
  auto writer = LogWriter::Create(*CreateAppendFile(record.log()), header);
  REQUIRE(writer.ok());
  Frames frames;
  Trace trace;
  Tracker tracker(&trace);
  tracker.Begin(header);
  for (const v1::Frame& frame : {frames.Image(1, 100, 0, "/bin/a", {"a"}), frames.Exit(1, 0)}) {
    (*writer)->AppendFrame(frame.SerializeAsString());
    tracker.OnFrame(frame);
  }
  if (finish) REQUIRE((*writer)->Finish(trace).ok());
}

TEST_CASE("Ids count up and are never given twice, also after removal and restart") {
  TemporaryDirectory directory;
  {
    auto index = OpenIndex(directory / "state");
    CHECK(Add(*index, "a").id() == "1");
    const v1::SessionRecord second = Add(*index, "b");
    CHECK(second.id() == "2");
    CHECK(second.log() == directory / "state/sessions/2.ocplog");
    CHECK(index->Remove("2").ok());
  }
  auto index = OpenIndex(directory / "state");
  CHECK(Add(*index, "c").id() == "3");
  CHECK(index->Remove("2").status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("A session is found by id, by the last of a name, or as the last of all") {
  TemporaryDirectory directory;
  auto index = OpenIndex(directory.path());
  CHECK(index->Find("").status().code() == absl::StatusCode::kNotFound);
  Add(*index, "lua");
  Add(*index, "lua");
  Add(*index, "1");
  CHECK(index->Find("lua")->id() == "2");
  CHECK(index->Find("1")->name() == "lua");
  CHECK(index->Find("")->id() == "3");
  CHECK(index->Find("zlib").status().code() == absl::StatusCode::kNotFound);
  CHECK(index->Find("' OR 1=1 --").status().code() == absl::StatusCode::kNotFound);
  CHECK(index->List()->size() == 3);
}

TEST_CASE("A row for which there was no room leaves the list as it was, and others come after it") {
  TemporaryDirectory directory;
  auto index = OpenIndex(directory.path());
  Add(*index, "a");
  rlimit before;
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto signalled = signal(SIGXFSZ, SIG_IGN);
  const rlimit nothing = {1, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &nothing) == 0);
  v1::SessionRecord record;
  record.set_name("b");
  const absl::Status refused = index->Insert(&record);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  signal(SIGXFSZ, signalled);
  CHECK_FALSE(refused.ok());
  CHECK(index->List()->size() == 1);
  Add(*index, "c");
  CHECK(index->Find("")->name() == "c");
}

TEST_CASE("An update replaces the row") {
  TemporaryDirectory directory;
  auto index = OpenIndex(directory.path());
  v1::SessionRecord record = Add(*index, "a");
  record.set_state(v1::SESSION_FINISHED);
  record.set_events(77);
  record.set_counted(true);
  CHECK(index->Update(record).ok());
  CHECK(index->Find("1")->events() == 77);
  record.set_id("9");
  CHECK(index->Update(record).code() == absl::StatusCode::kNotFound);
}

TEST_CASE("What a killed daemon left running is interrupted, and counted from its log") {
  TemporaryDirectory directory;
  {
    auto index = OpenIndex(directory.path());
    WriteLog(Add(*index, "killed"), /*finish=*/false);
    Add(*index, "done", v1::SESSION_FINISHED);
  }
  auto index = OpenIndex(directory.path());
  const auto sessions = *index->List();
  REQUIRE(sessions.size() == 2);
  CHECK(sessions[0].state() == v1::SESSION_INTERRUPTED);
  CHECK(sessions[0].counted());
  CHECK(sessions[1].state() == v1::SESSION_FINISHED);
  const auto found = index->Find("killed");
  REQUIRE(found.ok());
  CHECK(found->state() == v1::SESSION_INTERRUPTED);
  CHECK(found->counted());
  CHECK(found->events() == 2);
  CHECK(found->log_bytes() > 0);
  CHECK_FALSE(found->truth().complete());
}

TEST_CASE("A database that cannot be read is set aside and made again from the logs") {
  TemporaryDirectory directory;
  {
    auto index = OpenIndex(directory.path());
    WriteLog(Add(*index, "first", v1::SESSION_FINISHED), /*finish=*/true);
    WriteLog(Add(*index, "second"), /*finish=*/false);
    Add(*index, "without a log");
  }
  SECTION("garbage") { WriteWhole(directory / "index.db", std::string(10000, 'x')); }
  SECTION("torn") {
    const std::string bytes = ReadWhole(directory / "index.db");
    WriteWhole(directory / "index.db", bytes.substr(0, bytes.size() / 2) + std::string(bytes.size() / 2, '\xee'));
  }
  auto index = OpenIndex(directory.path());
  CHECK(index->notes().size() == 1);
  CHECK_FALSE(ReadWhole(directory / "index.db.damaged-1").empty());
  const auto sessions = *index->List();
  REQUIRE(sessions.size() == 2);
  CHECK(sessions[0].name() == "first");
  CHECK(sessions[0].state() == v1::SESSION_FINISHED);
  CHECK(sessions[0].events() == 2);
  CHECK(sessions[1].name() == "second");
  CHECK(sessions[1].state() == v1::SESSION_INTERRUPTED);
  CHECK_FALSE(sessions[1].counted());
  CHECK(index->Find("second")->events() == 2);
  CHECK((*index->List())[1].counted());
  CHECK(std::stoi(Add(*index, "next").id()) >= 3);
}

TEST_CASE("A lost database is made again from the logs") {
  TemporaryDirectory directory;
  {
    auto index = OpenIndex(directory.path());
    WriteLog(Add(*index, "kept", v1::SESSION_FINISHED), /*finish=*/true);
  }
  for (const char* name : {"index.db", "index.db-wal", "index.db-shm"}) unlink((directory / name).c_str());
  auto index = OpenIndex(directory.path());
  CHECK(index->List()->size() == 1);
  CHECK(Add(*index, "next").id() == "2");
}

TEST_CASE("A session without a log is removed all the same") {
  TemporaryDirectory directory;
  auto index = OpenIndex(directory.path());
  Add(*index, "a");
  WriteLog(Add(*index, "b"), true);
  CHECK(*index->Remove("1") == 0);
  CHECK(*index->Remove("2") > 0);
  CHECK(index->List()->empty());
  CHECK(ReadWhole(directory / "sessions/2.ocplog").empty());
}

}  // namespace
}  // namespace ocpwatch
