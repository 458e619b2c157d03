#include "daemon/session/session_header.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/clock.h"
#include "daemon/ingest/futex.h"
#include "daemon/session/log_format.h"
#include "ocpwatch/v1/version.h"
#include "preload/gencalls/call_table.h"

namespace ocpwatch {

namespace {

// The names that a program writes for those that glibc's headers make of them.
std::string PublicName(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kRenamed = {{{"__xstat", "stat"},
                                                                                      {"__lxstat", "lstat"},
                                                                                      {"__fxstat", "fstat"},
                                                                                      {"__fxstatat", "fstatat"},
                                                                                      {"__xmknod", "mknod"},
                                                                                      {"__xmknodat", "mknodat"},
                                                                                      {"_IO_sgetn", "fread"}}};
  for (const auto& [internal, written] : kRenamed) {
    if (name == internal) return std::string(written);
  }
  if (!name.starts_with("__")) return std::string(name);
  name.remove_prefix(2);
  // With _FORTIFY_SOURCE: __open_2, __read_chk.
  for (const std::string_view checked : {"_chk", "_2"}) {
    if (name.ends_with(checked)) name.remove_suffix(checked.size());
  }
  return std::string(name);
}

}  // namespace

void CompleteHeader(v1::SessionHeader* header) {
  header->set_format(kLogFormat);
  if (header->start_ns() == 0) {
    header->set_start_unix_ns(absl::GetCurrentTimeNanos());
    header->set_start_ns(static_cast<uint64_t>(MonotonicNs()));
  }
  utsname system;
  if (uname(&system) == 0) {
    if (header->host().empty()) header->set_host(system.nodename);
    if (header->kernel().empty()) header->set_kernel(system.release);
  }
  if (header->version().empty()) header->set_version(kVersion);
  header->set_uid(getuid());
  if (header->ops_size() == 0) {
    header->clear_functions();
    for (const FunctionInfo& function : CallTable()) {
      header->add_functions(function.name == nullptr ? "" : PublicName(function.name));
      header->add_ops(static_cast<uint32_t>(function.op));
    }
  }
  if (header->behaviours().empty()) {
    std::string& behaviours = *header->mutable_behaviours();
    for (const FunctionInfo& function : CallTable()) {
      const v1::Behaviour behaviour = header->mode() == v1::MODE_BUILD ? function.build : function.record;
      behaviours.push_back(static_cast<char>(behaviour));
    }
  }
}

}  // namespace ocpwatch
