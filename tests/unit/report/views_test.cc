#include <catch2/catch.hpp>

#include "daemon/session/totals.h"
#include "tests/unit/report/fixture.h"

namespace ocpwatch {
namespace {

std::vector<v1::Command> Commands(const std::vector<v1::ReportRow>& rows) {
  std::vector<v1::Command> commands;
  for (const v1::ReportRow& row : rows) {
    if (row.has_command()) commands.push_back(row.command());
  }
  return commands;
}

std::vector<uint32_t> CommandIds(const std::vector<v1::ReportRow>& rows) {
  std::vector<uint32_t> ids;
  for (const v1::Command& command : Commands(rows)) ids.push_back(command.id());
  return ids;
}

// make(1) -> cc(2) -> cc1(4); make -> sh(3) -> cc(5)
void FillParallelBuild(Recording* recording) {
  recording->Add(0, {"make"});
  recording->Add(1, {"cc", "-c", "a.c"});
  recording->Add(1, {"sh", "-c", "cc -c b.c"});
  recording->Add(2, {"cc1", "a.c"});
  recording->Add(3, {"cc", "-c", "b.c"});
}

TEST_CASE("In the tree a command stands before its children, and those in the order of their start") {
  Recording recording;
  FillParallelBuild(&recording);
  const auto rows = recording.Report(v1::VIEW_TREE);
  CHECK(CommandIds(rows) == Ids{1, 2, 4, 3, 5});
  std::vector<uint32_t> depths;
  for (const v1::Command& command : Commands(rows)) depths.push_back(command.depth());
  CHECK(depths == Ids{0, 1, 2, 1, 2});
}

TEST_CASE("The table is in the order of ids, and knows the depth too") {
  Recording recording;
  FillParallelBuild(&recording);
  const auto rows = recording.Report(v1::VIEW_COMMANDS);
  CHECK(CommandIds(rows) == Ids{1, 2, 3, 4, 5});
  CHECK(rows[3].command().depth() == 2);
}

TEST_CASE("A command row says what a command was and how it ended") {
  Recording recording;
  const CommandId id = recording.Add(0, {"a\\b", "caf\xe9"}, "/src/\xff");
  Command& command = recording.command(id);
  command.start_ns = 1500;
  command.end_ns = 2500;
  command.forks = 3;
  command.opaque = v1::OPAQUE_STATIC;
  command.opaque_detail = "x\xff";
  const auto row = [&](v1::EndKind end, int value) {
    command.end = end;
    command.end_value = value;
    return recording.Report(v1::VIEW_COMMANDS)[0].command();
  };
  const v1::Command exited = row(v1::END_EXIT, 3);
  CHECK(List(exited.argv()) == Strings{"a\\\\b", "caf\\xe9"});
  CHECK(exited.cwd() == "/src/\\xff");
  CHECK(exited.start_ns() == 500);
  CHECK(exited.end_ns() == 1500);
  CHECK(exited.pid() == 101);
  CHECK(exited.forks() == 3);
  CHECK(exited.exit_status() == 3);
  CHECK(exited.opaque_reason() == "statically linked: x\\xff");
  CHECK_FALSE(exited.running());
  CHECK(row(v1::END_SIGNAL, 9).signal() == 9);
  CHECK(row(v1::END_EXEC, 0).replaced());
  CHECK(row(v1::END_UNKNOWN, 0).unknown());
  const v1::Command running = row(v1::END_RUNNING, 0);
  CHECK(running.running());
  CHECK(running.end_ns() == 0);
}

TEST_CASE("Times that cannot be are not negative and do not overflow") {
  Recording recording;
  const CommandId id = recording.Add(0, {"a"});
  recording.command(id).start_ns = 5;
  recording.command(id).end_ns = UINT64_MAX;
  const v1::Command row = recording.Report(v1::VIEW_COMMANDS)[0].command();
  CHECK(row.start_ns() == 0);
  CHECK(row.end_ns() > 0);
  CHECK_FALSE(recording.Export(v1::VIEW_CHROME_TRACE).empty());
}

TEST_CASE("File lists are sorted, and a path is in each list that it belongs to") {
  Recording recording;
  const CommandId id = recording.Add(0, {"cc"});
  recording.Use(id, "/src/b.h", kRead | kChecked);
  recording.Use(id, "/src/a.c", kRead);
  recording.Use(id, "/src/a.o", kMissing, 2);
  recording.Use(id, "/src/a.o", kWritten);
  recording.Use(id, "/src/none.h", kMissing, 2);
  recording.Use(id, "/src/mode", kAttributes | kChecked);
  recording.Use(id, "/src", kListed | kDirectory);
  recording.Use(id, "/src/tmp", kWritten | kRemoved);
  recording.Use(id, "/src/stat", kChecked);
  recording.Use(id, "/src/lib.a", kRead | kWritten);
  const v1::Command row = recording.Report(v1::VIEW_TREE)[0].command();
  CHECK(List(row.reads()) == Strings{"/src/a.c", "/src/b.h", "/src/lib.a"});
  CHECK(List(row.writes()) == Strings{"/src/a.o", "/src/lib.a", "/src/mode", "/src/tmp"});
  CHECK(List(row.missing()) == Strings{"/src/none.h"});
  CHECK(List(row.listed()) == Strings{"/src"});
  CHECK(List(row.removed()) == Strings{"/src/tmp"});
  CHECK(List(row.checked()) == Strings{"/src/stat"});
  CHECK(recording.Report(v1::VIEW_COMMANDS)[0].command().reads().empty());
}

TEST_CASE("A tree keeps the way to what is taken, without file lists") {
  Recording recording;
  FillParallelBuild(&recording);
  recording.Use(1, "/src/Makefile", kRead);
  recording.Use(4, "/src/a.c", kRead);
  v1::Selection selection;
  selection.add_glob("*.c");
  const auto rows = recording.Report(v1::VIEW_TREE, selection);
  CHECK(CommandIds(rows) == Ids{1, 2, 4});
  CHECK(rows[0].command().reads().empty());
  CHECK(List(rows[2].command().reads()) == Strings{"/src/a.c"});
  CHECK(CommandIds(recording.Report(v1::VIEW_COMMANDS, selection)) == Ids{4});
}

TEST_CASE("A limit ends the rows, and the rest is counted") {
  Recording recording;
  FillParallelBuild(&recording);
  recording.Use(1, "/a", kRead);
  recording.Use(1, "/b", kRead);
  v1::Selection selection;
  selection.set_limit(2);
  for (const v1::View view : {v1::VIEW_TREE, v1::VIEW_COMMANDS}) {
    const auto rows = recording.Report(view, selection);
    REQUIRE(rows.size() == 3);
    CHECK(rows[2].left_out() == 3);
  }
  CHECK(recording.Report(v1::VIEW_FILES, selection).size() == 2);
  selection.set_limit(1);
  CHECK(recording.Report(v1::VIEW_FILES, selection)[1].left_out() == 1);
}

TEST_CASE("A command whose parent cannot be stands at the root") {
  Recording recording;
  recording.Add(0, {"a"});
  const CommandId id = recording.Add(0, {"b"});
  recording.command(id).parent = id;
  const auto rows = recording.Report(v1::VIEW_TREE);
  CHECK(CommandIds(rows) == Ids{1, 2});
  CHECK(rows[1].command().depth() == 0);
}

TEST_CASE("A file row says who used the path, and how") {
  Recording recording;
  const CommandId make = recording.Add(0, {"make"});
  const CommandId cc = recording.Add(make, {"cc"});
  const CommandId rm = recording.Add(make, {"rm"});
  recording.Use(make, "/src/z.o", kMissing, 2);
  recording.Use(make, "/src", kListed);
  recording.Use(cc, "/src/z.o", kWritten);
  recording.Use(rm, "/src/z.o", kRemoved);
  recording.Use(rm, "/src/a\xff", kChecked);
  recording.Use(make, "/src/z.o", kMissing, 2);
  const auto rows = recording.Report(v1::VIEW_FILES);
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].file().path() == "/src");
  CHECK(List(rows[0].file().listed_by()) == Ids{make});
  CHECK(rows[1].file().path() == "/src/a\\xff");
  CHECK(List(rows[1].file().checked_by()) == Ids{rm});
  const v1::File& object = rows[2].file();
  CHECK(List(object.missing_for()) == Ids{make});
  CHECK(List(object.written_by()) == Ids{cc});
  CHECK(List(object.removed_by()) == Ids{rm});
  CHECK(object.read_by().empty());

  v1::Selection selection;
  selection.add_commands(rm);
  CHECK(recording.Report(v1::VIEW_FILES, selection).size() == 2);
  selection.set_writes(true);
  CHECK(recording.Report(v1::VIEW_FILES, selection).empty());
}

TEST_CASE("A path that nobody used has no row") {
  Recording recording;
  recording.Add(0, {"a"});
  recording.trace.Intern("/only/a/working/directory");
  CHECK(recording.Report(v1::VIEW_FILES).empty());
}

TEST_CASE("The document is the session, every command with its files, and every file") {
  Recording recording;
  FillParallelBuild(&recording);
  recording.Use(4, "/src/a.c", kRead);
  const auto rows = recording.Report(v1::VIEW_DOCUMENT);
  REQUIRE(rows.size() == 6);
  CHECK(CommandIds(rows) == Ids{1, 2, 3, 4, 5});
  CHECK(List(rows[3].command().reads()) == Strings{"/src/a.c"});
  CHECK(List(rows[5].file().read_by()) == Ids{4});
}

TEST_CASE("The summary counts distinct paths") {
  Recording recording;
  const CommandId make = recording.Add(0, {"make"});
  const CommandId cc = recording.Add(make, {"cc"});
  recording.Use(make, "/src/a.o", kMissing, 2);
  recording.Use(make, "/src/never", kMissing, 2);
  recording.Use(cc, "/src/never", kMissing, 2);
  recording.Use(make, "/src/a.c", kRead);
  recording.Use(cc, "/src/a.c", kRead);
  recording.Use(cc, "/src/a.o", kWritten);
  recording.Use(cc, "/src/mode", kAttributes);
  recording.Use(cc, "/tmp/x.s", kWritten | kRead | kRemoved);
  recording.Use(make, "/src", kListed);
  recording.command(cc).end_value = 1;
  recording.command(cc).opaque = v1::OPAQUE_GO;
  recording.trace.events = 100;
  recording.trace.processes = 3;
  const v1::Summary summary = recording.Report(v1::VIEW_SUMMARY)[0].summary();
  CHECK(summary.commands() == 2);
  CHECK(summary.processes() == 3);
  CHECK(summary.events() == 100);
  CHECK(summary.failed_commands() == 1);
  CHECK(summary.opaque_commands() == 1);
  CHECK(summary.files_read() == 2);
  CHECK(summary.files_written() == 3);
  CHECK(summary.files_missing() == 1);
  CHECK(summary.files_removed() == 1);
  CHECK(summary.directories_listed() == 1);
}

TEST_CASE("The slowest commands come first, one that still runs as long as it has run") {
  Recording recording;
  for (uint64_t i = 0; i < 20; ++i) {
    const CommandId id = recording.Add(0, {"c"});
    recording.command(id).start_ns = 1000;
    recording.command(id).end_ns = 1000 + i * 10;
  }
  recording.command(3).end = v1::END_RUNNING;
  recording.command(3).end_ns = 0;
  recording.session.set_duration_ns(185);
  const v1::Summary summary = recording.Report(v1::VIEW_SUMMARY)[0].summary();
  REQUIRE(summary.slowest_size() == 10);
  CHECK(summary.slowest(0).id() == 20);
  CHECK(summary.slowest(1).id() == 3);
  CHECK(summary.slowest(2).id() == 19);
}

TEST_CASE("The calls are named and counted, the most frequent first") {
  Recording recording;
  for (const char* name : {"open", "stat", "close", "never"}) recording.header.add_functions(name);
  recording.trace.calls = {0, 5, 9, 7, 0, 1000};  // One more than the header knows.
  const v1::Summary summary = recording.Report(v1::VIEW_SUMMARY)[0].summary();
  REQUIRE(summary.calls_size() == 3);
  CHECK(summary.calls(0).function() == "stat");
  CHECK(summary.calls(0).count() == 9);
  CHECK(summary.calls(1).function() == "close");
  CHECK(summary.calls(2).function() == "open");
}

TEST_CASE("Functions of the same name are counted as one") {
  Recording recording;
  for (const char* name : {"stat", "open", "stat"}) recording.header.add_functions(name);
  recording.trace.calls = {0, 3, 4, 2};
  const v1::Summary summary = recording.Report(v1::VIEW_SUMMARY)[0].summary();
  REQUIRE(summary.calls_size() == 2);
  CHECK(summary.calls(0).function() == "stat");
  CHECK(summary.calls(0).count() == 5);
  CHECK(summary.calls(1).function() == "open");
}

TEST_CASE("A summary is the same from the totals of a log as from its model") {
  Recording recording;
  FillParallelBuild(&recording);
  recording.trace.calls = {7};
  recording.header.set_functions(0, "open");
  KeepingSink by_model;
  REQUIRE(recording.Write(v1::VIEW_SUMMARY, {}, &by_model).ok());
  KeepingSink by_totals;
  REQUIRE(WriteSummaryReport(MakeTotals(recording.trace), recording.header, recording.session, &by_totals).ok());
  REQUIRE(by_totals.rows.size() == by_model.rows.size());
  for (size_t i = 0; i < by_model.rows.size(); ++i) {
    CHECK(by_totals.rows[i].SerializeAsString() == by_model.rows[i].SerializeAsString());
  }
  KeepingSink gone(1);
  CHECK(absl::IsCancelled(WriteSummaryReport(MakeTotals(recording.trace), recording.header, recording.session, &gone)));
}

TEST_CASE("Every view of a session without commands is made") {
  Recording recording;
  for (const v1::View view : {v1::VIEW_SUMMARY, v1::VIEW_COMMANDS, v1::VIEW_TREE, v1::VIEW_FILES, v1::VIEW_DOCUMENT}) {
    CHECK(recording.Report(view).size() == (view == v1::VIEW_SUMMARY ? 1 : 0));
  }
}

TEST_CASE("A report ends when its reader has gone away") {
  Recording recording;
  FillParallelBuild(&recording);
  recording.Use(2, "/src/a.c", kRead);
  v1::Selection selection;
  selection.set_file("/src/a.c");
  for (int view = v1::View_MIN; view <= v1::View_MAX; ++view) {
    if (view == v1::VIEW_EVENTS) continue;
    for (size_t most = 0; most < 2; ++most) {
      KeepingSink sink(most);
      const absl::Status status = recording.Write(static_cast<v1::View>(view), selection, &sink);
      const bool fits = status.ok() && sink.rows.size() <= most;  // An export of one row.
      CHECK((status.code() == absl::StatusCode::kCancelled || fits));
    }
  }
}

TEST_CASE("A view that is not known is refused") {
  Recording recording;
  KeepingSink sink;
  CHECK(recording.Write(static_cast<v1::View>(99), {}, &sink).code() == absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ocpwatch
