// What reports of a large session cost.
//
//   report_bench [COMMANDS [FILES]]
//
// A session of 10 000 compilations by default, each with 300 files: 250 of 3000 headers, 48 that were looked for, a
// source and an object. Rows are serialised as gRPC would, and dropped. Loading is from the summary of a log.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "daemon/report/report.h"
#include "daemon/session/append_file.h"
#include "daemon/session/log_reader.h"
#include "daemon/session/log_writer.h"
#include "daemon/session/totals.h"

namespace ocpwatch {
namespace {

double Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class SerializingSink final : public RowSink {
 public:
  bool Write(const v1::ReportRow& row) override {
    row.SerializeToString(&bytes_);
    total += bytes_.size();
    largest = std::max(largest, bytes_.size());
    ++rows;
    return true;
  }
  size_t rows = 0;
  size_t total = 0;
  size_t largest = 0;

 private:
  std::string bytes_;
};

void Fill(int commands, int files, Trace* trace) {
  trace->start_ns = 1000;
  trace->events = 10'000'000;
  uint64_t now_ns = 1000;
  uint32_t random = 1;
  for (int i = 0; i < commands; ++i) {
    Command& command = trace->NewCommand();
    const std::string name = "/home/user/project/src/module_" + std::to_string(i % 97) + "/file_" + std::to_string(i);
    command.parent = i == 0 ? 0 : 1;
    command.process = command.id;
    command.pid = 1000 + i;
    command.argv = {"gcc", "-O2", "-g", "-Wall", "-I/home/user/project/include", "-c", name + ".c", "-o", name + ".o"};
    if (i == 0) command.argv = {"make"};
    command.executable = command.argv[0];
    command.cwd = "/home/user/project";
    command.start_ns = now_ns += 1000;
    command.end_ns = now_ns + 50'000;
    command.end = v1::END_EXIT;
    const CommandId id = command.id;
    trace->AddUse(id, trace->Intern(name + ".c"), kRead, now_ns);
    for (int k = 2; k < files; ++k) {
      random = random * 1664525 + 1013904223;
      const std::string header = "header_" + std::to_string((random >> 8) % 3000) + ".h";
      const bool is_missing = k % 6 == 0;
      trace->AddUse(id,
                    trace->Intern((is_missing ? "/home/user/project/include/" : "/usr/include/c++/12/bits/") + header),
                    is_missing ? kMissing : kRead, now_ns);
    }
    trace->AddUse(id, trace->Intern(name + ".o"), kWritten, now_ns);
  }
}

int Run(int commands, int files) {
  Trace built;
  Fill(commands, files, &built);
  v1::SessionHeader header;
  header.set_start_ns(1000);
  const std::string path = "/tmp/report_bench." + std::to_string(getpid());
  auto file = CreateAppendFile(path);
  if (!file.ok()) return 1;
  auto writer = LogWriter::Create(std::move(*file), header);
  if (!writer.ok() || !(*writer)->Finish(built).ok()) return 1;

  double start = Now();
  const auto totals = LoadTotals(path);
  if (!totals.ok() || totals->record.commands() != static_cast<uint64_t>(commands)) return 1;
  std::printf("%-18s %8.1f ms\n", "load totals", (Now() - start) * 1e3);
  start = Now();
  const auto loaded = LoadLog(path);
  unlink(path.c_str());
  if (!loaded.ok()) return 1;
  std::printf("%-18s %8.1f ms  (%.1f MB)\n", "load", (Now() - start) * 1e3,
              static_cast<double>((*loaded)->log_bytes) * 1e-6);
  const v1::Session session;
  const ReportInput input{(*loaded)->trace, header, session, path};
  for (const v1::View view : {v1::VIEW_SUMMARY, v1::VIEW_COMMANDS, v1::VIEW_TREE, v1::VIEW_FILES, v1::VIEW_DOCUMENT,
                              v1::VIEW_ORIGIN, v1::VIEW_COMPILE_COMMANDS, v1::VIEW_CHROME_TRACE, v1::VIEW_DOT}) {
    v1::ReportRequest request;
    request.set_view(view);
    request.mutable_selection()->set_file("/home/user/project/src/module_0/file_0.o");
    SerializingSink sink;
    start = Now();
    if (!WriteReport(input, request, &sink).ok()) return 1;
    std::printf("%-18s %8.1f ms  %zu rows, %.1f MB, the largest %zu bytes\n", v1::View_Name(view).c_str() + 5,
                (Now() - start) * 1e3, sink.rows, static_cast<double>(sink.total) * 1e-6, sink.largest);
  }
  return 0;
}

}  // namespace
}  // namespace ocpwatch

int main(int argc, char** argv) {
  return ocpwatch::Run(argc > 1 ? std::atoi(argv[1]) : 10'000, argc > 2 ? std::atoi(argv[2]) : 300);
}
