// What the model and the log cost for each event, and how large the log becomes.
//
//   session_bench [EVENTS [LEVEL]]
//
// The events are those of a build: stat, failed stat, open for reading with its fstat, close, on 1000 paths, by 50
// commands. They are encoded before the clock starts; parsing them is ingest's work and measured apart.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "daemon/session/log_reader.h"
#include "daemon/session/log_writer.h"
#include "daemon/session/tracker.h"
#include "ocpwatch/v1/functions.pb.h"

namespace ocpwatch {
namespace {

constexpr int kPaths = 1000;
constexpr uint32_t kCommands = 50;

double Now(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

v1::SessionHeader Header() {
  v1::SessionHeader header;
  header.set_cwd("/home/user/project");
  header.set_start_ns(1);
  for (int op = 0; op <= v1::Op_MAX; ++op) header.add_ops(static_cast<uint32_t>(op));
  return header;
}

std::vector<v1::Frame> MakeFrames(int count) {
  std::vector<v1::Frame> frames(static_cast<size_t>(count));
  uint64_t time_ns = 8'000'000'000'000;
  uint32_t random = 12345;
  for (int i = 0; i < count; ++i) {
    v1::Frame& frame = frames[static_cast<size_t>(i)];
    random = random * 1664525 + 1013904223;
    const uint32_t process = 1 + static_cast<uint32_t>(i) / 256 % kCommands;
    time_ns += 500 + random % 1500;
    frame.set_process(process);
    frame.set_time_ns(time_ns);
    const uint32_t path = (random >> 8) % kPaths;
    const std::string name =
        (path % 2 == 0 ? "/usr/include/c++/12/bits/header_" : "src/module/part/file_") + std::to_string(path) + ".h";
    v1::AfterCall& call = *frame.mutable_after();
    call.set_fd(AT_FDCWD);
    switch (i % 4) {
      case 0:
      case 1:
        call.set_function(v1::OP_STAT);
        call.set_path(name);
        if (i % 4 == 1) {
          call.set_path(name + ".gch");
          call.set_result(-1);
          call.set_error(2);
        }
        break;
      case 2: {
        call.set_function(v1::OP_OPEN);
        call.set_path(name);
        call.set_flags(O_RDONLY | O_CLOEXEC);
        call.set_result(3 + i % 8);
        v1::FileStat& stat = *call.mutable_stat();
        stat.set_dev(2049);
        stat.set_ino(1'000'000 + path);
        stat.set_mode(S_IFREG | 0644);
        stat.set_size(1000 + path * 7);
        stat.set_mtime_ns(1'700'000'000'000'000'000 + path * 1'000'003LL);
        stat.set_ctime_ns(1'700'000'000'000'000'000 + path * 1'000'003LL);
        break;
      }
      default:
        call.set_function(v1::OP_CLOSE);
        call.set_fd(3 + (i - 1) % 8);
    }
  }
  return frames;
}

void Announce(Tracker& tracker) {
  for (uint32_t process = 1; process <= kCommands; ++process) {
    v1::Frame frame;
    frame.set_process(process);
    frame.set_time_ns(2);
    frame.mutable_proc()->set_kind(v1::Proc::KIND_IMAGE);
    frame.mutable_proc()->set_pid(static_cast<int32_t>(100 + process));
    frame.mutable_proc()->set_parent(process == 1 ? 0 : 1);
    frame.mutable_proc()->set_cwd("/home/user/project");
    tracker.OnFrame(frame);
  }
}

int Run(int events, int level) {
  const int batch = std::min(events, 200'000);
  const std::vector<v1::Frame> frames = MakeFrames(batch);
  std::vector<std::string> bytes;
  size_t raw = 0;
  for (const v1::Frame& frame : frames) raw += bytes.emplace_back(frame.SerializeAsString()).size();

  Trace trace;
  Tracker tracker(&trace);
  tracker.Begin(Header());
  Announce(tracker);
  double start = Now(CLOCK_PROCESS_CPUTIME_ID);
  for (int i = 0; i < events; ++i) tracker.OnFrame(frames[static_cast<size_t>(i % batch)]);
  const double model_s = Now(CLOCK_PROCESS_CPUTIME_ID) - start;

  const std::string path = "/tmp/session_bench." + std::to_string(getpid());
  auto log = LogWriter::Create(*CreateAppendFile(path), Header(), level);
  start = Now(CLOCK_PROCESS_CPUTIME_ID);
  const double wall = Now(CLOCK_MONOTONIC);
  for (int i = 0; i < events; ++i) {
    (*log)->AppendFrame(bytes[static_cast<size_t>(i % batch)]);
    (*log)->WaitForRoom();
  }
  (*log)->Flush();
  const double log_s = Now(CLOCK_PROCESS_CPUTIME_ID) - start;
  const double log_wall_s = Now(CLOCK_MONOTONIC) - wall;
  const uint64_t log_bytes = (*log)->bytes();
  v1::Event end;
  end.mutable_end()->set_exit_status(0);
  (*log)->AppendEvent(end);
  if (!(*log)->Finish(trace).ok()) return 1;

  start = Now(CLOCK_MONOTONIC);
  if (!LoadLog(path).ok()) return 1;
  const double summary_s = Now(CLOCK_MONOTONIC) - start;
  start = Now(CLOCK_MONOTONIC);
  if (!ReplayLog(path).ok()) return 1;
  const double replay_s = Now(CLOCK_MONOTONIC) - start;
  unlink(path.c_str());

  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const double n = events;
  printf("events                    %d\n", events);
  printf("model, CPU                %.0f ns an event\n", model_s / n * 1e9);
  printf("log, CPU (level %d)        %.0f ns an event (both threads; %.0f ns on the clock)\n", level, log_s / n * 1e9,
         log_wall_s / n * 1e9);
  printf("together                  %.2f million events a second on one core\n", n / (model_s + log_s) / 1e6);
  printf("frame                     %.1f bytes\n", static_cast<double>(raw) / batch);
  printf("log                       %.2f bytes an event\n", static_cast<double>(log_bytes) / n);
  printf("load by summary           %.1f ms\n", summary_s * 1e3);
  printf("replay                    %.0f ns an event\n", replay_s / n * 1e9);
  printf("model                     %.1f MiB; highest resident %.1f MiB\n",
         static_cast<double>(trace.MemoryUse()) / (1 << 20), static_cast<double>(usage.ru_maxrss) / 1024);
  return 0;
}

}  // namespace
}  // namespace ocpwatch

int main(int argc, char** argv) {
  const int events = argc > 1 ? std::atoi(argv[1]) : 2'000'000;
  const int level = argc > 2 ? std::atoi(argv[2]) : ocpwatch::kCompressionLevel;
  return events > 0 ? ocpwatch::Run(events, level) : 2;
}
