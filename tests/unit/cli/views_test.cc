#include <catch2/catch.hpp>
#include <vector>

#include "cli/render/follow.h"
#include "cli/render/paths.h"
#include "cli/render/renderer.h"

namespace ocpwatch {
namespace {

using NewView = std::unique_ptr<Renderer> (*)(const Style&, Output*);

std::string Render(NewView view, const Style& style, std::vector<v1::ReportRow> rows) {
  std::string text;
  Output out(&text);
  const auto renderer = view(style, &out);
  for (v1::ReportRow& row : rows) renderer->Add(&row);
  renderer->Finish();
  return text;
}

Style Terminal(size_t width) {
  Style style;
  style.brief = true;
  style.utf8 = true;
  style.width = width;
  return style;
}

v1::ReportRow SessionRow() {
  v1::ReportRow row;
  v1::Session* session = row.mutable_session();
  session->set_id("12");
  session->set_name("nightly");
  session->set_state(v1::SESSION_FINISHED);
  session->add_argv("make");
  session->set_cwd("/src");
  session->set_started("2026-11-22T23:05:31+01:00");
  session->set_duration_ns(4'310'000'000);
  session->set_exit_status(0);
  session->set_complete(true);
  return row;
}

v1::ReportRow CommandRow(uint32_t id, uint32_t depth, const char* program) {
  v1::ReportRow row;
  v1::Command* command = row.mutable_command();
  command->set_id(id);
  command->set_depth(depth);
  command->set_parent_id(depth == 0 ? 0 : 1);
  command->add_argv(program);
  command->set_end_ns(1'500'000'000);
  command->set_exit_status(0);
  return row;
}

TEST_CASE("A tree says by its lines what started what") {
  Style style;
  style.utf8 = true;
  const std::string text = Render(NewTreeView, style,
                                  {SessionRow(), CommandRow(1, 0, "make"), CommandRow(2, 1, "gcc"),
                                   CommandRow(3, 2, "cc1"), CommandRow(4, 2, "as"), CommandRow(5, 1, "ar")});
  CHECK(text ==
        "#1 make  1.50 s\n"
        "├─ #2 gcc  1.50 s\n"
        "│  ├─ #3 cc1  1.50 s\n"
        "│  └─ #4 as  1.50 s\n"
        "└─ #5 ar  1.50 s\n");
}

TEST_CASE("Without UTF-8 a tree is drawn in ASCII") {
  const std::string text = Render(
      NewTreeView, Style(), {SessionRow(), CommandRow(1, 0, "make"), CommandRow(2, 1, "gcc"), CommandRow(3, 1, "ar")});
  CHECK(text ==
        "#1 make  1.50 s\n"
        "|- #2 gcc  1.50 s\n"
        "`- #3 ar  1.50 s\n");
}

TEST_CASE("In a pipe a tree has a line for each file, with its whole path") {
  v1::ReportRow row = CommandRow(1, 0, "gcc");
  row.mutable_command()->add_reads("/src/a.c");
  row.mutable_command()->add_reads("/usr/include/stdio.h");
  row.mutable_command()->add_writes("/src/a.o");
  row.mutable_command()->add_missing("/src/b\033.h");
  CHECK(Render(NewTreeView, Style(), {SessionRow(), row}) ==
        "#1 gcc  1.50 s\n"
        "     reads    /src/a.c\n"
        "     reads    /usr/include/stdio.h\n"
        "     writes   /src/a.o\n"
        "     missing  /src/b\\e.h\n");
}

TEST_CASE("On a terminal a tree is brief and its times stand at the right") {
  v1::ReportRow row = CommandRow(1, 0, "gcc");
  row.mutable_command()->set_exit_status(2);
  row.mutable_command()->set_opaque_reason("static executable");
  row.mutable_command()->add_reads("/src/a.c");
  row.mutable_command()->add_reads("/usr/include/stdio.h");
  row.mutable_command()->add_reads("/usr/include/stdlib.h");
  row.mutable_command()->add_missing("/src/b.h");
  CHECK(Render(NewTreeView, Terminal(40), {SessionRow(), row}) ==
        "#1 gcc                    exit 2  1.50 s\n"
        "     not observed in full: static executable\n"
        "     reads    a.c\n"
        "              /usr/include (2)\n"
        "     also     1 missing\n");
}

TEST_CASE("A long list of files ends with how many were left out") {
  PathList paths;
  for (int i = 0; i < 100; ++i) paths.Add("/src/file" + std::to_string(i) + ".c");
  const auto lines = BriefPaths(paths, "/src", 50, true);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0] == "file0.c  file1.c  file2.c  file3.c  … 96 more");
}

TEST_CASE("Of the system's files a terminal shows how many of each sort") {
  PathList paths;
  for (const char* path : {"/lib64/ld-linux-x86-64.so.2", "/usr/include/stdio.h", "/usr/bin/gcc", "/etc/hosts",
                           "/usr/lib/gcc/x86_64-linux-gnu/12/include/stddef.h", "/tmp/ccA.s"}) {
    paths.Add(path);
  }
  CHECK(BriefPaths(paths, "/src", 80, true) ==
        std::vector<std::string>{"/tmp/ccA.s", "/usr/include (2)  /etc (1)  programs and libraries (2)"});
}

TEST_CASE("A project that lies among the system's files is not taken for them") {
  PathList paths;
  paths.Add("/usr/src/project/a.c");
  paths.Add("/usr/include/stdio.h");
  const auto lines = BriefPaths(paths, "/usr/src/project", 80, true);
  CHECK(lines == std::vector<std::string>{"a.c", "/usr/include (1)"});
}

TEST_CASE("The summary is one page that says whether everything was seen") {
  v1::ReportRow row;
  v1::Summary* summary = row.mutable_summary();
  summary->set_commands(78);
  summary->set_processes(99);
  summary->set_failed_commands(2);
  summary->set_files_read(312);
  summary->set_files_written(45);
  summary->set_events(12345);
  v1::CallCount* call = summary->add_calls();
  call->set_function("openat");
  call->set_count(8000);
  *summary->add_slowest() = CommandRow(7, 1, "cc1").command();
  const std::string text = Render(NewSummaryView, Style(), {SessionRow(), row});
  CHECK(text ==
        "session 12 \"nightly\"  finished, exit 0\n"
        "command    make\n"
        "in         /src\n"
        "started    2026-11-22 23:05:31\n"
        "took       4.31 s\n"
        "\n"
        "commands   78 (2 failed) in 99 processes\n"
        "files      312 read, 45 written, 0 removed, 0 looked for and missing\n"
        "           0 directories listed\n"
        "events     12,345: openat 8,000\n"
        "\n"
        "Slowest commands\n"
        "  ID    TIME  STATUS  COMMAND\n"
        "   7  1.50 s  0       cc1\n"
        "\n"
        "Everything was seen.\n");
}

TEST_CASE("The summary names what was not seen") {
  v1::ReportRow session = SessionRow();
  session.mutable_session()->set_complete(false);
  session.mutable_session()->add_not_seen("#3 /sbin/ldconfig is static");
  v1::ReportRow row;
  row.mutable_summary()->set_opaque_commands(1);
  const std::string text = Render(NewSummaryView, Style(), {session, row});
  CHECK(text.find("What was not seen (1 command not observed in full)\n  - #3 /sbin/ldconfig is static\n") !=
        std::string::npos);
}

TEST_CASE("Files are listed with the commands that used them") {
  v1::ReportRow row;
  row.mutable_file()->set_path("/src/a.h");
  for (uint32_t id = 2; id < 12; ++id) row.mutable_file()->add_read_by(id);
  row.mutable_file()->add_written_by(1);
  CHECK(Render(NewFilesView, Style(), {SessionRow(), row}) ==
        "PATH      READ BY                WRITTEN\n"
        "/src/a.h  2,3,4,5,6,7,8,9,10,11  1\n");
  CHECK(Render(NewFilesView, Terminal(80), {SessionRow(), row}) ==
        "PATH  READ BY   WRITTEN\n"
        "a.h   2,3,4,+7  1\n");
}

TEST_CASE("Rows behind the limit are counted") {
  v1::ReportRow cut;
  cut.set_left_out(1234);
  const std::string text = Render(NewCommandsView, Style(), {SessionRow(), CommandRow(1, 0, "make"), cut});
  CHECK(text.substr(text.find("...")) == "... 1,234 more (--limit)\n");
}

TEST_CASE("The origin of a file goes down step by step") {
  v1::ReportRow file;
  file.mutable_file()->set_path("/src/app");
  file.mutable_file()->add_written_by(5);
  v1::ReportRow first;
  first.mutable_origin()->set_path("/src/app");
  *first.mutable_origin()->add_writers() = CommandRow(5, 1, "ld").command();
  first.mutable_origin()->add_made_from("/src/a.o");
  v1::ReportRow second;
  second.mutable_origin()->set_path("/src/a.o");
  second.mutable_origin()->set_depth(1);
  CHECK(Render(NewOriginView, Style(), {SessionRow(), file, first, second}) ==
        "/src/app\n"
        "  written by   #5\n"
        "\n"
        "app\n"
        "  made by #5 ld\n"
        "  from /src/a.o\n"
        "  a.o  (not written by this session)\n");
}

TEST_CASE("A followed session says when it began, what ran and how it ended") {
  FollowView view{Style()};
  std::string text;
  v1::FollowReply reply;
  *reply.mutable_session() = SessionRow().session();
  reply.mutable_session()->set_state(v1::SESSION_RUNNING);
  view.AppendLine(reply, &text);
  *reply.mutable_command_started() = CommandRow(2, 1, "gcc").command();
  view.AppendLine(reply, &text);
  *reply.mutable_command_ended() = CommandRow(2, 1, "gcc").command();
  reply.mutable_command_ended()->add_reads("/src/a.c");
  view.AppendLine(reply, &text);
  reply.set_missed(3);
  view.AppendLine(reply, &text);
  *reply.mutable_session() = SessionRow().session();
  view.AppendLine(reply, &text);
  CHECK(text ==
        "session 12 running: make\n"
        "started   #2 gcc\n"
        "ended     #2 1.50 s, read 1, wrote 0: gcc\n"
        "(3 more came than could be shown here; the log has them)\n"
        "session 12 finished, exit 0 after 4.31 s: 0 commands, 0 events\n");
}

}  // namespace
}  // namespace ocpwatch
