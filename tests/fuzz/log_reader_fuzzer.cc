// Reads a hostile session log. Three ways, chosen by the first byte of the input, because checksums would keep a fuzzer
// out of the inner ones:
//   0  the bytes are the file
//   1  the bytes are what a block decompresses to: delimited events, behind a good header
//   2  the bytes are one StoredModel, loaded as a summary
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "daemon/session/log_format.h"
#include "daemon/session/log_reader.h"
#include "daemon/session/stored_model.h"
#include "ocpwatch/v1/functions.pb.h"

namespace ocpwatch {
namespace {

std::string Compress(const std::string& raw) {
  std::string out(ZSTD_compressBound(raw.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), raw.data(), raw.size(), 1));
  return out;
}

std::string Header() {
  v1::Event event;
  v1::SessionHeader& header = *event.mutable_header();
  header.set_format(kLogFormat);
  header.set_cwd("/src");
  header.add_argv("make");
  for (int op = 0; op <= v1::Op_MAX; ++op) header.add_ops(static_cast<uint32_t>(op));
  const std::string bytes = event.SerializeAsString();
  std::string delimited;
  for (size_t size = bytes.size();; size >>= 7) {
    delimited.push_back(static_cast<char>((size & 0x7f) | (size >= 0x80 ? 0x80 : 0)));
    if (size < 0x80) break;
  }
  return Compress(delimited + bytes);
}

void CheckModel(const Trace& trace) {
  for (const Command& command : trace.commands()) {
    if (command.parent >= command.id) std::abort();
    for (const Use& use : command.uses) {
      if (use.path >= trace.path_count()) std::abort();
    }
  }
}

void ReadLog(const std::string& bytes) {
  static const int fd = memfd_create("log", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return;
  for (auto* load : {&LoadLog, &ReplayLog}) {
    const auto log = load(path);
    if (!log.ok()) continue;
    CheckModel((*log)->trace);
    MakeRecord(**log, path);
  }
}

}  // namespace
}  // namespace ocpwatch

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ocpwatch;
  if (size == 0) return 0;
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  static const std::string header = Header();
  switch (data[0]) {
    case 0:
      ReadLog(rest);
      break;
    case 1:
      ReadLog(header + Compress(rest));
      break;
    case 2: {
      v1::StoredModel part;
      if (!part.ParseFromString(rest)) break;
      Trace trace;
      if (LoadModelPart(part, &trace).ok()) StoreModel(trace);
      CheckModel(trace);
      break;
    }
    default:
      break;
  }
  return 0;
}
