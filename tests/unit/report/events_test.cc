#include <catch2/catch.hpp>

#include "daemon/report/event_row.h"
#include "daemon/session/log_writer.h"
#include "tests/unit/report/fixture.h"
#include "tests/unit/session/events.h"

namespace ocpwatch {
namespace {

// The row of a call; functions are named by the test.
v1::EventRow RowOf(const std::string& function, const v1::Frame& frame) {
  v1::SessionHeader header = TestHeader();
  const uint32_t number = frame.has_after() ? frame.after().function() : frame.before().function();
  header.set_functions(static_cast<int>(number), function);
  v1::Event event;
  *event.mutable_frame() = frame;
  v1::EventRow row;
  REQUIRE(MakeEventRow(header, event, {.process = 1, .pid = 100, .command = 1}, "/src/a.c", &row));
  return row;
}

TEST_CASE("A call is shown as strace would") {
  Frames frames;
  const auto open = frames.Open(1, "a.c", O_RDONLY | O_CLOEXEC, 3);
  CHECK(RowOf("open64", open).text() == "open64(\"a.c\", O_RDONLY|O_CLOEXEC) = 3");
  CHECK(RowOf("openat", open).text() == "openat(AT_FDCWD, \"a.c\", O_RDONLY|O_CLOEXEC) = 3");
  CHECK(RowOf("__openat64_2", open).text() == "__openat64_2(AT_FDCWD, \"a.c\", O_RDONLY|O_CLOEXEC) = 3");
  auto created = frames.Open(1, "a", O_WRONLY | O_CREAT | O_TRUNC, 4);
  created.mutable_after()->set_mode(0644);
  CHECK(RowOf("creat", created).text() == "creat(\"a\", O_WRONLY|O_CREAT|O_TRUNC, 0644) = 4");
  auto stat = frames.After(1, v1::OP_STAT, "a", ENOENT);
  CHECK(RowOf("stat64", stat).text() == "stat64(\"a\") = -1 ENOENT");
  CHECK(RowOf("stat64", stat).error() == "ENOENT");
  stat.mutable_after()->set_flags(AT_SYMLINK_NOFOLLOW);
  stat.mutable_after()->set_fd(5);
  CHECK(RowOf("fstatat", stat).text() == "fstatat(5, \"a\", AT_SYMLINK_NOFOLLOW) = -1 ENOENT");
  auto access = frames.After(1, v1::OP_ACCESS, "a");
  access.mutable_after()->set_mode(R_OK | X_OK);
  CHECK(RowOf("access", access).text() == "access(\"a\", R_OK|X_OK) = 0");
  auto rename = frames.After(1, v1::OP_RENAME, "a");
  rename.mutable_after()->set_path2("b");
  CHECK(RowOf("rename", rename).text() == "rename(\"a\", \"b\") = 0");
  CHECK(RowOf("renameat2", rename).text() == "renameat2(AT_FDCWD, \"a\", AT_FDCWD, \"b\") = 0");
  auto link = frames.After(1, v1::OP_SYMLINK, "to");
  link.mutable_after()->set_path2("b");
  CHECK(RowOf("symlink", link).text() == "symlink(\"to\", \"b\") = 0");
  CHECK(RowOf("close", frames.OnFd(1, v1::OP_CLOSE, 3)).text() == "close(3) = 0");
  auto fcntl_call = frames.OnFd(1, v1::OP_FCNTL, 3, 10);
  fcntl_call.mutable_after()->set_flags(F_DUPFD_CLOEXEC);
  fcntl_call.mutable_after()->set_value(10);
  CHECK(RowOf("fcntl", fcntl_call).text() == "fcntl(3, F_DUPFD_CLOEXEC, 10) = 10");
  auto xattr = frames.After(1, v1::OP_GET_XATTR, "a", ENODATA);
  xattr.mutable_after()->set_path2("user.x");
  xattr.mutable_after()->set_fd2(0);
  CHECK(RowOf("getxattr", xattr).text() == "getxattr(\"a\", \"user.x\") = -1 ENODATA");
  auto spawn = frames.After(1, v1::OP_SPAWN, "gone", ENOENT);
  CHECK(RowOf("posix_spawnp", spawn).text() == "posix_spawnp(\"gone\") = 2 ENOENT");
  CHECK(RowOf("posix_spawnp", spawn).error() == "ENOENT");
  CHECK(RowOf("system", spawn).text() == "system(\"gone\") = -1 ENOENT");
  auto grown = frames.OnFd(1, v1::OP_TRUNCATE, 3);
  grown.mutable_after()->set_error(EBADF);
  CHECK(RowOf("posix_fallocate", grown).text() == "posix_fallocate(3, 0) = 9 EBADF");
  CHECK(RowOf("ftruncate", grown).text() == "ftruncate(3, 0) = -1 EBADF");
  CHECK(RowOf("exit", frames.Exit(1, 3)).text() == "exit(3)");
  CHECK(RowOf("waitpid", frames.Wait(1, 101, 3 << 8)).text() == "waitpid() = 101 exit 3");
  CHECK(RowOf("waitpid", frames.Wait(1, 101, 9)).text() == "waitpid() = 101 signal 9");
}

TEST_CASE("An exec shows its arguments, the first of very many") {
  Frames frames;
  auto exec = frames.Exec(1, "/bin/cc");
  exec.mutable_before()->add_argv("-DX=\"a\n\x1b\xff\"");
  const v1::EventRow row = RowOf("execve", exec);
  CHECK(row.kind() == "before");
  CHECK(row.text() == R"(execve("/bin/cc", ["/bin/cc", "-DX=\"a\n\x1b\xff\""]))");
  for (int i = 0; i < 100; ++i) exec.mutable_before()->add_argv("x");
  CHECK(RowOf("execve", exec).text().find("... 90 more") != std::string::npos);
}

TEST_CASE("A function or an error without a name is a number") {
  Frames frames;
  auto call = frames.After(1, v1::OP_STAT, "a", 9999);
  call.mutable_after()->set_function(12345);
  v1::Event event;
  *event.mutable_frame() = call;
  v1::EventRow row;
  REQUIRE(MakeEventRow(TestHeader(), event, {}, "", &row));
  CHECK(row.function() == "function 12345");
  CHECK(row.error() == "errno 9999");
}

TEST_CASE("Processes, losses and damage are events too; the frame of a log is not") {
  Frames frames;
  v1::Event event;
  v1::EventRow row;
  *event.mutable_frame() = frames.Image(1, 100, 0, "/usr/bin/make", {"make"});
  REQUIRE(MakeEventRow(TestHeader(), event, {.process = 1, .pid = 100}, "", &row));
  CHECK(row.kind() == "proc");
  CHECK(row.text() == "runs \"/usr/bin/make\" as pid 100");
  *event.mutable_frame() = frames.Next(1);
  event.mutable_frame()->mutable_lost()->set_frames(5);
  REQUIRE(MakeEventRow(TestHeader(), event, {}, "", &row));
  CHECK(row.kind() == "lost");
  event.mutable_damage()->set_what("cut \xff off");
  REQUIRE(MakeEventRow(TestHeader(), event, {}, "", &row));
  CHECK(row.kind() == "damage");
  CHECK(row.text() == "cut \\xff off");
  event.mutable_end()->set_exit_status(0);
  CHECK_FALSE(MakeEventRow(TestHeader(), event, {}, "", &row));
  event.mutable_frame()->Clear();
  CHECK_FALSE(MakeEventRow(TestHeader(), event, {}, "", &row));
}

// A session's log: make, which looks at a.h, opens sub/b.c, renames a to b and ends.
class LoggedSession {
 public:
  LoggedSession() {
    auto file = CreateAppendFile(directory_ / "log");
    REQUIRE(file.ok());
    auto writer = LogWriter::Create(std::move(*file), TestHeader());
    REQUIRE(writer.ok());
    Frames frames;
    Tracker tracker(&recording.trace);
    tracker.Begin(TestHeader());
    const auto write = [&](const v1::Frame& frame) {
      tracker.OnFrame(frame);
      (*writer)->AppendFrame(frame.SerializeAsString());
    };
    write(frames.Image(1, 100, 0, "/usr/bin/make", {"make"}));
    write(frames.After(1, v1::OP_STAT, "a.h", ENOENT));
    write(frames.Open(1, "sub/b.c", O_RDONLY, 3));
    write(frames.After(1, v1::OP_CHDIR, "file", ENOTDIR));
    v1::Frame rename = frames.After(1, v1::OP_RENAME, "/tmp/a");
    rename.mutable_after()->set_path2("sub/b");
    write(rename);
    write(frames.Exit(1, 0));
    v1::Event end;
    end.mutable_end()->set_exit_status(0);
    (*writer)->AppendEvent(end);
    tracker.Apply(end);
    REQUIRE((*writer)->Finish(recording.trace).ok());
    recording.log = directory_ / "log";
  }

  std::vector<std::string> Functions(const v1::Selection& selection) {
    std::vector<std::string> functions;
    for (const v1::ReportRow& row : recording.Report(v1::VIEW_EVENTS, selection)) {
      if (row.has_event()) functions.push_back(row.event().function());
    }
    return functions;
  }

  Recording recording;

 private:
  const TemporaryDirectory directory_;
};

TEST_CASE("Every event of the log is a row, with the absolute path it was about") {
  LoggedSession session;
  const auto rows = session.recording.Report(v1::VIEW_EVENTS);
  REQUIRE(rows.size() == 6);
  CHECK(rows[0].event().kind() == "proc");
  CHECK(rows[1].event().path() == "/src/a.h");
  CHECK(rows[1].event().error() == "ENOENT");
  CHECK(rows[1].event().command_id() == 1);
  CHECK(rows[1].event().pid() == 100);
  CHECK(rows[1].event().time_ns() > 0);
  CHECK(rows[2].event().path() == "/src/sub/b.c");
  CHECK(rows[5].event().kind() == "before");
}

TEST_CASE("Events are taken by path, kind and command") {
  LoggedSession session;
  v1::Selection under;
  under.add_under("/src/sub");
  CHECK(session.Functions(under) == Strings{"OP_OPEN", "OP_RENAME"});
  v1::Selection missing;
  missing.set_missing(true);
  CHECK(session.Functions(missing) == Strings{"OP_STAT"});
  v1::Selection reads;
  reads.set_reads(true);
  CHECK(session.Functions(reads) == Strings{"OP_OPEN"});
  v1::Selection writes;
  writes.set_writes(true);
  CHECK(session.Functions(writes) == Strings{"OP_RENAME"});
  v1::Selection other;
  other.add_commands(2);
  CHECK(session.Functions(other).empty());
  v1::Selection failed;
  failed.set_failed(true);
  CHECK(session.Functions(failed).empty());
}

TEST_CASE("The events that a limit leaves out are counted, with a filter and without") {
  LoggedSession session;
  v1::Selection selection;
  selection.set_limit(2);
  auto rows = session.recording.Report(v1::VIEW_EVENTS, selection);
  REQUIRE(rows.size() == 3);
  CHECK(rows[2].left_out() == 4);
  selection.set_limit(1);
  selection.add_under("/src/sub");
  rows = session.recording.Report(v1::VIEW_EVENTS, selection);
  REQUIRE(rows.size() == 2);
  CHECK(rows[1].left_out() == 1);
  selection.set_limit(2);
  CHECK(session.recording.Report(v1::VIEW_EVENTS, selection).size() == 2);
}

TEST_CASE("A log that is not there is said so") {
  Recording recording;
  recording.log = "/nonexistent/log";
  KeepingSink sink;
  CHECK(recording.Write(v1::VIEW_EVENTS, {}, &sink).code() == absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace ocpwatch
