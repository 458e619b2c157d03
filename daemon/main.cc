// watchd: parse, wire, run.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "daemon/service/daemon.h"
#include "daemon/service/daemon_log.h"
#include "ocpwatch/v1/version.h"

// CLI11 throws only where an option is declared wrongly; what a user gets wrong is caught by CLI11_PARSE.
// NOLINTNEXTLINE(bugprone-exception-escape)
int main(int argc, char** argv) {
  ocpwatch::DaemonOptions options;
  uint32_t idle_exit_seconds = 0;
  CLI::App app("watchd, the daemon of ocp-watch: records what commands do with files. `ocp-watch` starts it by itself.",
               "watchd");
  app.add_flag("--foreground", options.foreground, "Log to stderr; stay without sessions, too");
  app.add_option("--state-dir", options.state_directory, "Where logs and the index are kept")->type_name("DIR");
  app.add_option("--preload", options.preload, "The preload library")->type_name("PATH");
  auto* idle_exit = app.add_option("--idle-exit", idle_exit_seconds, "End after so long without sessions; 0: never")
                        ->type_name("SECONDS");
  app.add_option("--ready-fd", options.ready_fd, "Write `ready`, or what went wrong, to this descriptor")
      ->type_name("N");
  app.set_version_flag("--version", std::string("watchd ") + ocpwatch::kVersion + " (" + ocpwatch::kBuildId + ")");
  CLI11_PARSE(app, argc, argv);
  if (idle_exit->count() > 0) options.idle_exit_seconds = idle_exit_seconds;

#ifdef NDEBUG
  // Debian's Abseil, built without NDEBUG, looks for deadlocks at each lock of a mutex. The tests do, too.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
  ocpwatch::LogToStderr();
  ocpwatch::Daemon daemon(std::move(options));
  if (absl::Status status = daemon.Start(); !status.ok()) {
    fprintf(stderr, "watchd: %s\n", std::string(status.message()).c_str());
    return 1;
  }
  daemon.Run();
  return 0;
}
