#include "daemon/service/daemon_log.h"

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ocpwatch {
namespace {

void Install(spdlog::sink_ptr sink) {
  auto logger = std::make_shared<spdlog::logger>("watchd", std::move(sink));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %P %l %v");
  // There are few lines, and the last ones before a crash are the ones that matter.
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace

void LogToStderr() { Install(std::make_shared<spdlog::sinks::stderr_sink_mt>()); }

absl::Status LogToFile(const std::string& path) {
  try {
    Install(std::make_shared<spdlog::sinks::rotating_file_sink_mt>(path, kMaxLogFileBytes, /*max_files=*/1));
  } catch (const spdlog::spdlog_ex& error) {
    return absl::FailedPreconditionError(absl::StrCat("cannot write the daemon's log: ", error.what()));
  }
  return absl::OkStatus();
}

}  // namespace ocpwatch
