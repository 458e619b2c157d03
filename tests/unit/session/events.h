// Builds the events of a small session for tests. The call table here is the plain one: function n has Op n.
#ifndef OCPWATCH_TESTS_UNIT_SESSION_EVENTS_H_
#define OCPWATCH_TESTS_UNIT_SESSION_EVENTS_H_

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/session/trace.h"
#include "daemon/session/tracker.h"
#include "ocpwatch/v1/functions.pb.h"

namespace ocpwatch {

inline v1::SessionHeader TestHeader() {
  v1::SessionHeader header;
  header.set_format(1);
  header.set_id("1");
  header.set_name("test");
  header.set_mode(v1::MODE_RECORD);
  header.add_argv("make");
  header.set_cwd("/src");
  header.set_start_unix_ns(1'700'000'000'000'000'000);
  header.set_start_ns(1000);
  header.set_host("here");
  for (int op = 0; op <= v1::Op_MAX; ++op) {
    header.add_ops(static_cast<uint32_t>(op));
    header.add_functions(v1::Op_Name(op));
  }
  header.set_behaviours(std::string(v1::Op_MAX + 1, '\1'));
  return header;
}

// Makes frames with times that go on by 10 ns.
class Frames {
 public:
  v1::Frame Next(uint32_t process) {
    v1::Frame frame;
    frame.set_process(process);
    time_ns_ += 10;
    frame.set_time_ns(time_ns_);
    return frame;
  }

  v1::Frame Image(uint32_t process, int32_t pid, uint32_t parent, const std::string& executable,
                  const std::vector<std::string>& argv, const std::string& cwd = "/src") {
    v1::Frame frame = Next(process);
    v1::Proc& proc = *frame.mutable_proc();
    proc.set_kind(v1::Proc::KIND_IMAGE);
    proc.set_pid(pid);
    proc.set_parent(parent);
    proc.set_executable(executable);
    proc.set_requested(executable);
    for (const std::string& argument : argv) proc.add_argv(argument);
    proc.set_cwd(cwd);
    return frame;
  }

  v1::Frame Forked(uint32_t process, int32_t pid, uint32_t parent) {
    v1::Frame frame = Next(process);
    frame.mutable_proc()->set_kind(v1::Proc::KIND_FORKED);
    frame.mutable_proc()->set_pid(pid);
    frame.mutable_proc()->set_parent(parent);
    return frame;
  }

  v1::Frame Before(uint32_t process, v1::Op op, uint32_t child = 0) {
    v1::Frame frame = Next(process);
    v1::BeforeCall& call = *frame.mutable_before();
    call.set_function(static_cast<uint32_t>(op));
    call.set_id(7);
    call.set_fd(AT_FDCWD);
    call.set_fd2(AT_FDCWD);
    call.set_child(child);
    return frame;
  }

  v1::Frame Exec(uint32_t process, const std::string& path, v1::OpaqueReason opaque = v1::OPAQUE_NONE) {
    v1::Frame frame = Before(process, v1::OP_EXEC);
    frame.mutable_before()->set_path(path);
    frame.mutable_before()->add_argv(path);
    frame.mutable_before()->set_opaque(opaque);
    return frame;
  }

  v1::Frame Exit(uint32_t process, int status) {
    v1::Frame frame = Before(process, v1::OP_EXIT);
    frame.mutable_before()->set_value(status);
    return frame;
  }

  v1::Frame After(uint32_t process, v1::Op op, const std::string& path = "", int error = 0) {
    v1::Frame frame = Next(process);
    v1::AfterCall& call = *frame.mutable_after();
    call.set_function(static_cast<uint32_t>(op));
    call.set_id(7);
    call.set_path(path);
    call.set_fd(AT_FDCWD);
    call.set_fd2(AT_FDCWD);
    call.set_error(error);
    call.set_result(error == 0 ? 0 : -1);
    return frame;
  }

  v1::Frame Open(uint32_t process, const std::string& path, uint32_t flags, int fd, uint32_t mode = S_IFREG | 0644) {
    v1::Frame frame = After(process, v1::OP_OPEN, path);
    frame.mutable_after()->set_flags(flags);
    frame.mutable_after()->set_result(fd);
    frame.mutable_after()->mutable_stat()->set_mode(mode);
    return frame;
  }

  v1::Frame OnFd(uint32_t process, v1::Op op, int fd, int64_t result = 0) {
    v1::Frame frame = After(process, op);
    frame.mutable_after()->set_fd(fd);
    frame.mutable_after()->set_result(result);
    return frame;
  }

  v1::Frame Fork(uint32_t process, uint32_t child) { return Before(process, v1::OP_FORK, child); }

  v1::Frame ForkDone(uint32_t process, uint32_t child, int32_t pid) {
    v1::Frame frame = After(process, v1::OP_FORK);
    frame.mutable_after()->set_child(child);
    frame.mutable_after()->set_result(pid);
    return frame;
  }

  v1::Frame Wait(uint32_t process, int32_t pid, int status) {
    v1::Frame frame = After(process, v1::OP_WAIT);
    frame.mutable_after()->set_result(pid);
    frame.mutable_after()->set_value(status);
    return frame;
  }

  uint64_t time_ns() const { return time_ns_; }

 private:
  uint64_t time_ns_ = 1000;
};

// A tracker with process 1, pid 100, running make in /src.
class Model {
 public:
  Model() : tracker(&trace) {
    tracker.Begin(TestHeader());
    Apply(frames.Image(1, 100, 0, "/usr/bin/make", {"make"}));
  }

  Applied Apply(const v1::Frame& frame) { return tracker.OnFrame(frame); }

  void End(int status) {
    v1::SessionEnd end;
    end.set_time_ns(frames.time_ns() + 10);
    end.set_exit_status(status);
    tracker.OnEnd(end);
  }

  void Close() {
    tracker.Close([](uint32_t) { return false; });
  }

  // The bits of (command, path); 0 if there is no use.
  uint32_t Kinds(CommandId command, std::string_view path) const {
    const Use* const use = Find(command, path);
    return use == nullptr ? 0 : use->kinds;
  }

  const Use* Find(CommandId command, std::string_view path) const {
    const Command* const found = trace.Find(command);
    if (found == nullptr) return nullptr;
    for (const Use& use : found->uses) {
      if (trace.Path(use.path) == path) return &use;
    }
    return nullptr;
  }

  Trace trace;
  Tracker tracker;
  Frames frames;
};

// A directory that goes away with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::string ReadWhole(const std::string& path);
void WriteWhole(const std::string& path, std::string_view bytes);

}  // namespace ocpwatch

#endif  // OCPWATCH_TESTS_UNIT_SESSION_EVENTS_H_
