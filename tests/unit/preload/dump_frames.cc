// preload_dump COMMAND...: runs a command under the preload library and prints its frames, a line each. For looking at
// what the library says, without a daemon. DUMP_BUILD=1: as in a build session; DUMP_LIBRARY: another library.
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>

#include "tests/unit/preload/traced_run.h"

extern char** environ;

int main(int argc, char** argv) {
  ocpwatch::TestSession::Settings settings;
  settings.build = std::getenv("DUMP_BUILD") != nullptr;
  ocpwatch::TestSession session(settings);
  ocpwatch::RunOptions options;
  if (const char* const library = std::getenv("DUMP_LIBRARY")) options.library = library;
  options.environment.clear();
  for (char** variable = environ; *variable != nullptr; ++variable) options.environment.emplace_back(*variable);
  const ocpwatch::RunResult result = session.Run({argv + 1, argv + argc}, options);
  std::fputs(result.out.c_str(), stdout);
  std::fputs(result.err.c_str(), stderr);
  for (const auto& frame : session.Frames()) {
    const char* kind = frame.has_before() ? "before" : frame.has_after() ? "after" : "";
    const uint32_t function = frame.has_before() ? frame.before().function() : frame.after().function();
    std::string name;
    if (*kind != 0) name = std::string(kind) + " " + ocpwatch::NameOf(function) + " ";
    std::printf("%u: %s%s\n", frame.process(), name.c_str(), frame.ShortDebugString().c_str());
  }
  if (session.malformed() > 0) std::printf("%lu malformed frames\n", static_cast<unsigned long>(session.malformed()));
  return WIFEXITED(result.wait_status) ? WEXITSTATUS(result.wait_status) : 128 + WTERMSIG(result.wait_status);
}
