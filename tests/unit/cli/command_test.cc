#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

namespace ocpwatch {
namespace {

// What a person reads: the files as they are installed.
std::string Contents(const std::string& name) {
  std::ifstream file(std::string(OCPWATCH_CLI_SOURCE) + "/" + name);
  REQUIRE(file);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> OptionsOf(const Command& command) {
  CLI::App parser;
  parser.set_help_flag();
  command.define(parser);
  std::vector<std::string> names;
  for (const CLI::Option* option : parser.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

Invocation Parse(const Command& command, std::vector<std::string> arguments) {
  Invocation invocation;
  const absl::Status parsed = ParseInvocation(command, std::move(arguments), &invocation);
  REQUIRE(parsed.ok());
  return invocation;
}

std::string Refusal(const Command& command, std::vector<std::string> arguments) {
  Invocation invocation;
  return std::string(ParseInvocation(command, std::move(arguments), &invocation).message());
}

TEST_CASE("Each option is in the help, the manual page and the completions") {
  const std::string manual = Contents("man/ocp-watch.1");
  const std::string bash = Contents("completions/ocp-watch.bash");
  const std::string zsh = Contents("completions/_ocp-watch");
  for (const Command& command : Commands()) {
    const std::string name(command.name);
    INFO("command " << name);
    CHECK(manual.find("\n.SS " + name + "\n") != std::string::npos);
    CHECK(bash.find(name) != std::string::npos);
    CHECK(zsh.find("'" + name + ":" + std::string(command.summary) + "'") != std::string::npos);
    for (const std::string& option : OptionsOf(command)) {
      INFO("option " << option);
      CHECK(command.help.find("  " + option) != std::string::npos);
      std::string in_manual = option;
      for (size_t i = 0; (i = in_manual.find('-', i)) != std::string::npos; i += 2) in_manual.replace(i, 1, "\\-");
      CHECK(manual.find(in_manual) != std::string::npos);
      CHECK(bash.find(option) != std::string::npos);
      CHECK(zsh.find(option) != std::string::npos);
    }
  }
}

TEST_CASE("Each help fits a terminal and teaches by an example") {
  for (const Command& command : Commands()) {
    INFO("command " << command.name);
    CHECK(command.help.find("\nExample") != std::string_view::npos);
    std::istringstream lines{std::string(command.help)};
    for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 80);
  }
}

TEST_CASE("Options behind the command's name belong to the command") {
  CHECK(Parse(kRecordCommand, {"make", "-j2", "--name", "x"}).words ==
        std::vector<std::string>{"make", "-j2", "--name", "x"});
  CHECK(Parse(kRecordCommand, {"--name", "n", "make", "--help"}).words == std::vector<std::string>{"make", "--help"});
  CHECK(Parse(kRecordCommand, {"--name=n", "--", "--odd", "--", "x"}).words ==
        std::vector<std::string>{"--odd", "--", "x"});
  CHECK(Parse(kRecordCommand, {"--calls", "a=off", "--calls", "b=off", "true"}).words ==
        std::vector<std::string>{"true"});
}

TEST_CASE("Help is asked for in front of the command only") {
  CHECK(Parse(kRecordCommand, {"--help"}).help);
  CHECK(Parse(kReportCommand, {"tree", "-h"}).help);
  CHECK_FALSE(Parse(kRecordCommand, {"make", "--help"}).help);
}

TEST_CASE("A mistyped option of ours is not taken for the command") {
  CHECK(Refusal(kRecordCommand, {"--nmae", "x", "true"}).find("did you mean --name?") != std::string::npos);
  CHECK(Refusal(kReportCommand, {"--unde=x"}).find("did you mean --under?") != std::string::npos);
}

TEST_CASE("A record without a command, an argument too many and a bad number are refused") {
  CHECK(Refusal(kRecordCommand, {"--name", "x"}).find("needs a command") != std::string::npos);
  CHECK(Refusal(kStatusCommand, {"now"}).find("unexpected argument") != std::string::npos);
  CHECK_FALSE(Refusal(kReportCommand, {"--limit", "many"}).empty());
  CHECK_FALSE(Refusal(kReportCommand, {"--format"}).empty());
}

}  // namespace
}  // namespace ocpwatch
