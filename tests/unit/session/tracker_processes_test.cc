#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "tests/unit/session/events.h"

namespace ocpwatch {
namespace {

TEST_CASE("The session's command is command 1, with its executable, script and libraries") {
  Trace trace;
  Tracker tracker(&trace);
  Frames frames;
  tracker.Begin(TestHeader());
  v1::Frame image = frames.Image(1, 100, 0, "/usr/bin/bash", {"bash", "./run.sh"});
  image.mutable_proc()->set_requested("./run.sh");
  image.mutable_proc()->add_libraries("/lib/ld.so");
  image.mutable_proc()->add_libraries("linux-vdso.so.1");
  tracker.OnFrame(image);
  REQUIRE(trace.commands().size() == 1);
  const Command& command = trace.commands()[0];
  CHECK(command.id == 1);
  CHECK(command.parent == 0);
  CHECK(command.pid == 100);
  CHECK(command.executable == "/usr/bin/bash");
  CHECK(command.argv == std::vector<std::string>{"bash", "./run.sh"});
  CHECK(command.cwd == "/src");
  REQUIRE(command.uses.size() == 3);
  CHECK(trace.Path(command.uses[0].path) == "/usr/bin/bash");
  CHECK(command.uses[0].kinds == (kRead | kExecuted));
  CHECK(trace.Path(command.uses[1].path) == "/src/run.sh");
  CHECK(command.uses[1].kinds == (kRead | kExecuted));
  CHECK(trace.Path(command.uses[2].path) == "/lib/ld.so");
  CHECK(command.uses[2].kinds == (kRead | kLoaded));
  CHECK(trace.processes == 1);
}

TEST_CASE("A forked child's uses belong to the command it was forked from until it executes") {
  Model m;
  m.Apply(m.frames.Fork(1, 2));
  m.Apply(m.frames.Forked(2, 101, 1));
  m.Apply(m.frames.Open(2, "before", O_RDONLY, 3));
  m.Apply(m.frames.ForkDone(1, 2, 101));
  CHECK(m.Kinds(1, "/src/before") == kRead);
  CHECK(m.trace.Find(1)->forks == 1);
  m.Apply(m.frames.Exec(2, "/usr/bin/cc"));
  const uint64_t exec_ns = m.frames.time_ns();
  m.Apply(m.frames.Image(2, 101, 1, "/usr/bin/cc", {"cc", "-c", "a.c"}));
  m.Apply(m.frames.Open(2, "a.c", O_RDONLY, 3));
  REQUIRE(m.trace.commands().size() == 2);
  const Command& child = *m.trace.Find(2);
  CHECK(child.parent == 1);
  CHECK(child.pid == 101);
  CHECK(child.start_ns == exec_ns);
  CHECK(m.Kinds(2, "/src/a.c") == kRead);
  CHECK(m.Kinds(1, "/src/a.c") == 0);
  CHECK(m.trace.Find(1)->forks == 0);
  CHECK(m.trace.Find(1)->end == v1::END_RUNNING);
  CHECK(m.trace.processes == 2);
}

TEST_CASE("A vfork child needs no announcement of its own") {
  Model m;
  m.Apply(m.frames.Fork(1, 2));
  m.Apply(m.frames.Exec(2, "/opt/bin/cc"));
  m.Apply(m.frames.After(2, v1::OP_EXEC, "/opt/bin/cc", ENOENT));
  m.Apply(m.frames.Exec(2, "/usr/bin/cc"));
  m.Apply(m.frames.ForkDone(1, 2, 101));
  m.Apply(m.frames.Image(2, 101, 1, "/usr/bin/cc", {"cc"}));
  CHECK(m.Kinds(1, "/opt/bin/cc") == kMissing);
  CHECK(m.Kinds(2, "/usr/bin/cc") == (kRead | kExecuted));
  CHECK(m.trace.truth.complete());
  CHECK(m.trace.commands().size() == 2);
}

TEST_CASE("A failed fork leaves nothing behind") {
  Model m;
  m.Apply(m.frames.Fork(1, 2));
  v1::Frame failed = m.frames.After(1, v1::OP_FORK, "", EAGAIN);
  failed.mutable_after()->set_child(2);
  m.Apply(failed);
  CHECK(m.trace.Find(1)->forks == 0);
  CHECK(m.tracker.LiveProcesses().size() == 1);
  CHECK(m.trace.processes == 1);
}

TEST_CASE("An exec ends the command of its process with END_EXEC") {
  Model m;
  m.Apply(m.frames.Open(1, "keep", O_RDONLY, 3));
  m.Apply(m.frames.Open(1, "drop", O_RDONLY | O_CLOEXEC, 4));
  m.Apply(m.frames.Exec(1, "/bin/sub"));
  m.Apply(m.frames.Image(1, 100, 0, "/bin/sub", {"sub"}));
  REQUIRE(m.trace.commands().size() == 2);
  CHECK(m.trace.Find(1)->end == v1::END_EXEC);
  CHECK(m.trace.Find(2)->parent == 1);
  m.Apply(m.frames.OnFd(1, v1::OP_CHMOD, 3));
  m.Apply(m.frames.OnFd(1, v1::OP_CHMOD, 4));
  CHECK(m.Kinds(2, "/src/keep") == (kRead | kInherited | kAttributes));
  CHECK(m.Kinds(2, "/src/drop") == 0);
}

TEST_CASE("A redirection that a child made before its exec is a use of both commands") {
  Model m;
  m.Apply(m.frames.Open(1, "shared.log", O_WRONLY, 9));
  m.Apply(m.frames.Fork(1, 2));
  m.Apply(m.frames.Open(2, "out", O_WRONLY | O_CREAT | O_TRUNC, 3));
  m.Apply(m.frames.OnFd(2, v1::OP_DUP, 3, 1));
  m.Apply(m.frames.OnFd(2, v1::OP_CLOSE, 3));
  m.Apply(m.frames.Exec(2, "/bin/cat"));
  m.Apply(m.frames.Image(2, 101, 1, "/bin/cat", {"cat"}));
  CHECK(m.Kinds(1, "/src/out") == kWritten);
  CHECK(m.Kinds(2, "/src/out") == (kWritten | kInherited));
  CHECK(m.Kinds(2, "/src/shared.log") == 0);
  m.Apply(m.frames.OnFd(2, v1::OP_WRITE, 9, 10));
  CHECK(m.Kinds(2, "/src/shared.log") == (kWritten | kInherited));
}

TEST_CASE("A command's standard streams are uses of it, whoever opened them") {
  Model m;
  m.Apply(m.frames.Open(1, "out", O_WRONLY | O_CREAT | O_TRUNC, 1));
  m.Apply(m.frames.Open(1, "in", O_RDONLY, 0));
  m.Apply(m.frames.Open(1, "other", O_RDONLY, 3));
  m.Apply(m.frames.Fork(1, 2));
  m.Apply(m.frames.Exec(2, "/bin/cat"));
  m.Apply(m.frames.Image(2, 101, 1, "/bin/cat", {"cat"}));
  CHECK(m.Kinds(2, "/src/out") == (kWritten | kInherited));
  CHECK(m.Kinds(2, "/src/in") == (kRead | kInherited));
  CHECK(m.Kinds(2, "/src/other") == 0);
}

TEST_CASE("A spawned child starts in what its file actions made") {
  Model m;
  const auto action = [&](v1::FileAction kind, int fd, int fd2, const std::string& path, uint32_t flags = 0) {
    v1::Frame frame = m.frames.After(1, v1::OP_FILE_ACTION, path);
    frame.mutable_after()->set_object(0xabc);
    frame.mutable_after()->set_value(kind);
    frame.mutable_after()->set_fd(fd);
    frame.mutable_after()->set_fd2(fd2);
    frame.mutable_after()->set_flags(flags);
    m.Apply(frame);
  };
  m.Apply(m.frames.Open(1, "/d", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 5, S_IFDIR));
  action(v1::FILE_ACTION_INIT, -1, -1, "");
  action(v1::FILE_ACTION_CHDIR, -1, -1, "sub");
  action(v1::FILE_ACTION_OPEN, 1, -1, "out", O_WRONLY | O_CREAT);
  action(v1::FILE_ACTION_DUP2, 5, 6, "");
  action(v1::FILE_ACTION_CLOSE, 5, -1, "");
  v1::Frame spawn = m.frames.Before(1, v1::OP_SPAWN, 2);
  spawn.mutable_before()->set_path("./tool");
  spawn.mutable_before()->add_argv("tool");
  spawn.mutable_before()->set_object(0xabc);
  m.Apply(spawn);
  m.Apply(m.frames.Image(2, 102, 1, "/src/sub/tool", {"tool"}, "/src/sub"));
  v1::Frame done = m.frames.After(1, v1::OP_SPAWN, "./tool");
  done.mutable_after()->set_child(2);
  done.mutable_after()->set_value(102);
  m.Apply(done);
  REQUIRE(m.trace.commands().size() == 2);
  const Command& child = *m.trace.Find(2);
  CHECK(child.parent == 1);
  CHECK(child.cwd == "/src/sub");
  CHECK(child.executable == "/src/sub/tool");
  CHECK(m.Kinds(1, "/src/sub/out") == kWritten);
  CHECK(m.Kinds(2, "/src/sub/out") == (kWritten | kInherited));
  v1::Frame stat = m.frames.After(2, v1::OP_STAT, "x");
  stat.mutable_after()->set_fd(6);
  m.Apply(stat);
  CHECK(m.Kinds(2, "/d/x") == kChecked);
  CHECK(m.trace.Find(1)->forks == 0);
  CHECK(m.trace.truth.complete());
}

TEST_CASE("A failed spawn leaves a missing path and no command") {
  const v1::OpaqueReason opaque = GENERATE(v1::OPAQUE_NONE, v1::OPAQUE_STATIC);
  Model m;
  v1::Frame spawn = m.frames.Before(1, v1::OP_SPAWN, 2);
  spawn.mutable_before()->set_path("/no/tool");
  spawn.mutable_before()->set_opaque(opaque);
  m.Apply(spawn);
  v1::Frame done = m.frames.After(1, v1::OP_SPAWN, "/no/tool");
  done.mutable_after()->set_child(2);
  done.mutable_after()->set_result(ENOENT);
  m.Apply(done);
  CHECK(m.Kinds(1, "/no/tool") == kMissing);
  CHECK(m.trace.commands().size() == 1);
  CHECK(m.trace.truth.complete());
  CHECK(m.tracker.LiveProcesses().size() == 1);
}

TEST_CASE("A command ends with the last exit its process called") {
  Model m;
  m.Apply(m.frames.Exit(1, 3));
  m.Apply(m.frames.Open(1, "at-exit", O_RDONLY, 3));
  m.Apply(m.frames.Exit(1, 256 + 4));
  CHECK(m.trace.Find(1)->end == v1::END_EXIT);
  CHECK(m.trace.Find(1)->end_value == 4);
  CHECK(m.trace.Find(1)->end_ns == m.frames.time_ns());
}

TEST_CASE("The exit of a forked child does not end its parent's command") {
  Model m;
  m.Apply(m.frames.Fork(1, 2));
  m.Apply(m.frames.Forked(2, 101, 1));
  m.Apply(m.frames.Exit(2, 1));
  m.Apply(m.frames.Wait(1, 101, 1 << 8));
  CHECK(m.trace.Find(1)->end == v1::END_RUNNING);
  CHECK(m.trace.Find(1)->forks == 1);
  CHECK(m.tracker.LiveProcesses().size() == 1);
}

TEST_CASE("A wait tells of a signal, and of an exit that nobody else told of") {
  Model m;
  m.Apply(m.frames.Fork(1, 2));
  m.Apply(m.frames.Exec(2, "/bin/a"));
  m.Apply(m.frames.Image(2, 101, 1, "/bin/a", {"a"}));
  SECTION("signal") {
    m.Apply(m.frames.Wait(1, 101, SIGKILL));
    CHECK(m.trace.Find(2)->end == v1::END_SIGNAL);
    CHECK(m.trace.Find(2)->end_value == SIGKILL);
  }
  SECTION("exit") {
    m.Apply(m.frames.Wait(1, 101, 5 << 8));
    CHECK(m.trace.Find(2)->end == v1::END_EXIT);
    CHECK(m.trace.Find(2)->end_value == 5);
  }
  SECTION("a stopped child lives") {
    m.Apply(m.frames.Wait(1, 101, (SIGSTOP << 8) | 0x7f));
    CHECK(m.trace.Find(2)->end == v1::END_RUNNING);
  }
  SECTION("the process's own word goes before a wait without a status") {
    m.Apply(m.frames.Exit(2, 7));
    m.Apply(m.frames.Wait(1, 101, 0));
    CHECK(m.trace.Find(2)->end_value == 7);
  }
  SECTION("a pid that is used again is that of the newer process") {
    m.Apply(m.frames.Exit(2, 0));
    m.Apply(m.frames.Wait(1, 101, 0));
    m.Apply(m.frames.Fork(1, 3));
    m.Apply(m.frames.Forked(3, 101, 1));
    m.Apply(m.frames.Exec(3, "/bin/b"));
    m.Apply(m.frames.Image(3, 101, 1, "/bin/b", {"b"}));
    m.Apply(m.frames.Wait(1, 101, 9 << 8));
    CHECK(m.trace.Find(2)->end_value == 0);
    CHECK(m.trace.Find(3)->end_value == 9);
  }
}

TEST_CASE("The session's end is that of its first process") {
  Model m;
  SECTION("exit") {
    m.End(2);
    CHECK(m.trace.Find(1)->end == v1::END_EXIT);
    CHECK(m.trace.Find(1)->end_value == 2);
  }
  SECTION("signal, whatever the process said before") {
    m.Apply(m.frames.Exit(1, 0));
    v1::SessionEnd end;
    end.set_time_ns(9999);
    end.set_signal(SIGSEGV);
    m.tracker.OnEnd(end);
    CHECK(m.trace.Find(1)->end == v1::END_SIGNAL);
    CHECK(m.trace.Find(1)->end_value == SIGSEGV);
  }
  SECTION("a program that it became") {
    m.Apply(m.frames.Exec(1, "/bin/b"));
    m.Apply(m.frames.Image(1, 100, 0, "/bin/b", {"b"}));
    m.End(4);
    CHECK(m.trace.Find(1)->end == v1::END_EXEC);
    CHECK(m.trace.Find(2)->end_value == 4);
  }
}

TEST_CASE("A child that outlives the session's command ends unknown, unless it still lives") {
  const bool lives = GENERATE(false, true);
  Model m;
  m.Apply(m.frames.Fork(1, 2));
  m.Apply(m.frames.Exec(2, "/bin/daemon"));
  m.Apply(m.frames.Image(2, 101, 1, "/bin/daemon", {"daemon"}));
  const uint64_t last_seen = m.frames.time_ns();
  m.End(0);
  CHECK(m.trace.Find(2)->end == v1::END_RUNNING);
  m.tracker.Close([&](uint32_t process) { return lives && process == 2; });
  CHECK(m.trace.Find(2)->end == (lives ? v1::END_RUNNING : v1::END_UNKNOWN));
  CHECK(m.trace.Find(2)->end_ns == (lives ? 0 : last_seen));
}

TEST_CASE("An opaque program is a command at once") {
  Model m;
  m.Apply(m.frames.Fork(1, 2));
  m.Apply(m.frames.Exec(2, "/bin/busybox", v1::OPAQUE_STATIC));
  REQUIRE(m.trace.commands().size() == 2);
  CHECK(m.trace.Find(2)->opaque == v1::OPAQUE_STATIC);
  CHECK(m.trace.Find(2)->executable == "/bin/busybox");
  CHECK(m.trace.Find(2)->end == v1::END_RUNNING);
  CHECK(m.trace.truth.opaque_commands() == 1);
  CHECK_FALSE(m.trace.truth.complete());
  SECTION("and ends with its parent's wait") {
    m.Apply(m.frames.ForkDone(1, 2, 101));
    m.Apply(m.frames.Wait(1, 101, 3 << 8));
    CHECK(m.trace.Find(2)->end == v1::END_EXIT);
    CHECK(m.trace.Find(2)->end_value == 3);
  }
  SECTION("and is taken back if the exec fails") {
    m.Apply(m.frames.After(2, v1::OP_EXEC, "/bin/busybox", ENOEXEC));
    CHECK(m.trace.commands().size() == 1);
    CHECK(m.trace.truth.complete());
    CHECK(m.Kinds(1, "/bin/busybox") == kDenied);
    m.Apply(m.frames.Exec(2, "/bin/sh"));
    m.Apply(m.frames.Image(2, 101, 1, "/bin/sh", {"sh"}));
    CHECK(m.trace.commands().size() == 2);
    CHECK(m.trace.Find(2)->parent == 1);
    CHECK(m.trace.Find(1)->forks == 0);
  }
  SECTION("and stays as an attempt if other commands have come since") {
    m.Apply(m.frames.Fork(1, 3));
    m.Apply(m.frames.Exec(3, "/bin/a"));
    m.Apply(m.frames.Image(3, 103, 1, "/bin/a", {"a"}));
    m.Apply(m.frames.After(2, v1::OP_EXEC, "/bin/busybox", ENOEXEC));
    CHECK(m.trace.commands().size() == 3);
    CHECK(m.trace.Find(2)->end == v1::END_UNKNOWN);
    CHECK(m.trace.Find(2)->opaque == v1::OPAQUE_NONE);
    CHECK(m.trace.truth.complete());
  }
  SECTION("and is not opaque if it announces itself after all") {
    m.Apply(m.frames.Image(2, 101, 1, "/bin/busybox", {"busybox", "ls"}));
    CHECK(m.trace.commands().size() == 2);
    CHECK(m.trace.Find(2)->opaque == v1::OPAQUE_NONE);
    CHECK(m.trace.Find(2)->argv.size() == 2);
    CHECK(m.trace.truth.complete());
  }
  SECTION("and is replaced when it executes something that can be seen") {
    m.Apply(m.frames.Image(2, 101, 1, "/usr/bin/cc", {"cc"}));
    REQUIRE(m.trace.commands().size() == 3);
    CHECK(m.trace.Find(2)->opaque == v1::OPAQUE_STATIC);
    CHECK(m.trace.Find(2)->end == v1::END_EXEC);
    CHECK(m.trace.Find(3)->parent == 2);
  }
  SECTION("and is the parent of what comes through it") {
    v1::Frame through = m.frames.Image(9, 120, 2, "/usr/bin/cc", {"cc"});
    through.mutable_proc()->set_through_opaque(true);
    m.Apply(through);
    REQUIRE(m.trace.commands().size() == 3);
    CHECK(m.trace.Find(3)->parent == 2);
    CHECK(m.trace.truth.notes_size() == 0);
  }
}

TEST_CASE("A program that was executed and never speaks is silent") {
  Model m;
  m.Apply(m.frames.Fork(1, 2));
  m.Apply(m.frames.Exec(2, "/bin/mute"));
  m.Apply(m.frames.ForkDone(1, 2, 101));
  CHECK(m.trace.commands().size() == 1);
  SECTION("known when it is waited for") {
    m.Apply(m.frames.Wait(1, 101, 0));
    CHECK(m.trace.Find(2)->end == v1::END_EXIT);
  }
  SECTION("known at the end") {
    m.End(0);
    m.Close();
    CHECK(m.trace.Find(2)->end == v1::END_UNKNOWN);
  }
  SECTION("known by what it starts") {
    v1::Frame through = m.frames.Image(9, 120, 2, "/usr/bin/cc", {"cc"});
    through.mutable_proc()->set_through_opaque(true);
    m.Apply(through);
    CHECK(m.trace.Find(3)->parent == 2);
  }
  SECTION("known by what it becomes") {
    m.Apply(m.frames.Image(2, 101, 1, "/usr/bin/cc", {"cc"}));
    CHECK(m.trace.Find(2)->end == v1::END_EXEC);
    CHECK(m.trace.Find(3)->executable == "/usr/bin/cc");
  }
  REQUIRE(m.trace.commands().size() >= 2);
  CHECK(m.trace.Find(2)->opaque == v1::OPAQUE_SILENT);
  CHECK(m.trace.Find(2)->executable == "/bin/mute");
  CHECK(m.trace.truth.opaque_commands() == 1);
}

TEST_CASE("A session's command that never speaks is there all the same") {
  Trace trace;
  Tracker tracker(&trace);
  Frames frames;
  tracker.Begin(TestHeader());
  SECTION("at its end") {
    v1::SessionEnd end;
    end.set_exit_status(3);
    end.set_time_ns(5000);
    tracker.OnEnd(end);
    REQUIRE(trace.commands().size() == 1);
    CHECK(trace.commands()[0].end_value == 3);
    CHECK(trace.commands()[0].end_ns == 5000);
  }
  SECTION("at the first of its children that can be seen") {
    v1::Frame through = frames.Image(2, 120, 1, "/usr/bin/cc", {"cc"});
    through.mutable_proc()->set_through_opaque(true);
    tracker.OnFrame(through);
    REQUIRE(trace.commands().size() == 2);
    CHECK(trace.commands()[1].parent == 1);
  }
  CHECK(trace.commands()[0].opaque == v1::OPAQUE_SILENT);
  CHECK(trace.commands()[0].argv == std::vector<std::string>{"make"});
}

TEST_CASE("A command that was never started is not there") {
  Trace trace;
  Tracker tracker(&trace);
  tracker.Begin(TestHeader());
  v1::SessionEnd end;
  end.set_unknown("make: No such file or directory");
  tracker.OnEnd(end);
  tracker.Close([](uint32_t) { return false; });
  CHECK(trace.commands().empty());
  CHECK(trace.end.unknown() == "make: No such file or directory");
}

TEST_CASE("Arguments that come in several frames are joined") {
  Model m;
  v1::Frame more = m.frames.Next(1);
  more.mutable_proc()->set_kind(v1::Proc::KIND_ARGUMENTS);
  more.mutable_proc()->add_argv("all");
  m.Apply(more);
  CHECK(m.trace.Find(1)->argv == std::vector<std::string>{"make", "all"});
  CHECK(m.trace.commands().size() == 1);
}

TEST_CASE("Whatever makes a command opaque makes the session incomplete") {
  Model m;
  SECTION("a raw system call") {
    v1::Frame raw = m.frames.After(1, v1::OP_RAW);
    raw.mutable_after()->set_value(500);
    m.Apply(raw);
    CHECK(m.trace.Find(1)->opaque == v1::OPAQUE_RAW_SYSCALL);
    CHECK(m.trace.Find(1)->opaque_detail == "system call 500");
  }
  SECTION("io_uring") {
    v1::Frame raw = m.frames.After(1, v1::OP_RAW);
    raw.mutable_after()->set_opaque(v1::OPAQUE_IO_URING);
    m.Apply(raw);
    CHECK(m.trace.Find(1)->opaque == v1::OPAQUE_IO_URING);
  }
  SECTION("a clone") {
    v1::Frame clone = m.frames.After(1, v1::OP_FORK);
    clone.mutable_after()->set_opaque(v1::OPAQUE_CLONED);
    m.Apply(clone);
    CHECK(m.trace.Find(1)->opaque == v1::OPAQUE_CLONED);
  }
  SECTION("lost frames") {
    v1::Frame lost = m.frames.Next(1);
    lost.mutable_lost()->set_frames(12);
    m.Apply(lost);
    CHECK(m.trace.Find(1)->opaque == v1::OPAQUE_LOST_FRAMES);
    CHECK(m.trace.truth.lost_frames() == 12);
  }
  SECTION("a damaged stream") {
    v1::StreamDamage damage;
    damage.set_process(1);
    damage.set_what("a frame could not be read");
    m.tracker.OnDamage(damage);
    CHECK(m.trace.Find(1)->opaque == v1::OPAQUE_LOST_FRAMES);
    CHECK(m.trace.truth.notes(0) == "Process 1: a frame could not be read");
  }
  CHECK(m.trace.truth.opaque_commands() == 1);
  CHECK_FALSE(m.trace.truth.complete());
}

TEST_CASE("A raw system call that the kernel does not know hides nothing") {
  Model m;
  m.Apply(m.frames.After(1, v1::OP_RAW, "", ENOSYS));
  CHECK(m.trace.truth.complete());
}

TEST_CASE("A process that was never announced is taken in, with a note") {
  Model m;
  m.Apply(m.frames.Open(42, "x", O_RDONLY, 3));
  CHECK(m.Kinds(1, "/src/x") == kRead);
  CHECK_FALSE(m.trace.truth.complete());
  CHECK(m.trace.truth.notes_size() == 1);
  CHECK(m.trace.processes == 2);
}

TEST_CASE("Nothing that a hostile program says makes loops or crashes") {
  Model m;
  m.Apply(m.frames.Fork(1, 1));
  m.Apply(m.frames.ForkDone(1, 1, 100));
  m.Apply(m.frames.Fork(1, 0));
  m.Apply(m.frames.Forked(7, 7, 7));
  m.Apply(m.frames.Fork(7, 8));
  m.Apply(m.frames.Fork(8, 7));
  m.Apply(m.frames.Next(1));
  m.Apply(m.frames.Next(0));
  m.Apply(m.frames.Wait(1, 100, 0));
  m.Apply(m.frames.Wait(1, -1, 9));
  v1::Frame unknown = m.frames.After(1, v1::OP_STAT, "/x");
  unknown.mutable_after()->set_function(1'000'000);
  m.Apply(unknown);
  v1::Frame self_spawn = m.frames.Before(1, v1::OP_SPAWN, 1);
  m.Apply(self_spawn);
  // An opaque command that others descend from is taken back.
  m.Apply(m.frames.Exec(1, "/bin/o", v1::OPAQUE_GO));
  m.Apply(m.frames.Fork(1, 20));
  m.Apply(m.frames.After(1, v1::OP_EXEC, "/bin/o", ENOENT));
  m.Apply(m.frames.Image(20, 200, 1, "/bin/p", {"p"}));
  m.Apply(m.frames.Image(20, 200, 1, "/bin/q", {"q"}));
  m.End(0);
  m.Close();
  for (const Command& command : m.trace.commands()) CHECK(command.parent < command.id);
}

}  // namespace
}  // namespace ocpwatch
