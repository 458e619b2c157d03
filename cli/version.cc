#include <unistd.h>

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/output.h"
#include "ocpwatch/v1/version.h"

namespace ocpwatch {
namespace {

constexpr std::string_view kVersionHelp = R"(Usage: ocp-watch version

Prints the version of ocp-watch, and the build id: client and daemon with the
same one are made for each other. "ocp-watch status" has those of the daemon.

Options:
  -h, --help    this text

Example:
  ocp-watch version
)";

Command::Run DefineVersion(CLI::App&) {
  return [](const std::vector<std::string>&) {
    Output(STDOUT_FILENO).Write(absl::StrCat("ocp-watch ", kVersion, " (", kBuildId, ")\n"));
    return 0;
  };
}

}  // namespace

const Command kVersionCommand = {"version", "print the version", kVersionHelp, DefineVersion};

}  // namespace ocpwatch
