#include "cli/command.h"

#include <stdio.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cli/output.h"
#include "cli/render/text.h"

namespace ocpwatch {
namespace {

constexpr std::string_view kOverview = R"(ocp-watch - see every command and every file of a build

Usage: ocp-watch COMMAND [OPTIONS]

  ocp-watch build -- make -j8          run a build; next time only what changed
  ocp-watch explain                    why each command of the last build ran, or did not
  ocp-watch record -- make -j8         run a build and record it
  ocp-watch report                     what happened: the last session in one page
  ocp-watch report tree                every command with the files it read and wrote
  ocp-watch report --file lua          everything about one file, and what it was made from

Commands:
)";

constexpr std::string_view kOverviewEnd = R"(
"ocp-watch COMMAND --help" explains a command by examples; "man ocp-watch" has it all.
)";

// Letters added, left out or changed, and neighbours exchanged.
size_t EditDistance(std::string_view left, std::string_view right) {
  std::vector<std::vector<size_t>> cost(left.size() + 1, std::vector<size_t>(right.size() + 1));
  for (size_t i = 0; i <= left.size(); ++i) cost[i][0] = i;
  for (size_t j = 0; j <= right.size(); ++j) cost[0][j] = j;
  for (size_t i = 1; i <= left.size(); ++i) {
    for (size_t j = 1; j <= right.size(); ++j) {
      const size_t changed = cost[i - 1][j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, changed});
      if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[left.size()][right.size()];
}

std::string Overview() {
  std::string text(kOverview);
  for (const Command& command : Commands()) {
    std::string name(command.name);
    name.resize(11, ' ');
    absl::StrAppend(&text, "  ", name, absl::string_view(command.summary.data(), command.summary.size()), "\n");
  }
  text += kOverviewEnd;
  return text;
}

int ShowText(std::string_view text) {
  Output out(STDOUT_FILENO, Output::Paging::kWhenLong);
  out.Write(text);
  return 0;
}

const Command* FindCommand(std::string_view name) {
  const auto& commands = Commands();
  const auto found =
      std::find_if(commands.begin(), commands.end(), [name](const Command& each) { return each.name == name; });
  return found == commands.end() ? nullptr : &*found;
}

int UnknownCommand(std::string_view name) {
  std::vector<std::string_view> names = {"help"};
  for (const Command& command : Commands()) names.push_back(command.name);
  const std::string_view nearest = Nearest(name, names);
  std::string message = "there is no command \"" + Printable(name) + "\"";
  if (!nearest.empty()) message += "; did you mean \"ocp-watch " + std::string(nearest) + "\"?";
  return Fail(absl::InvalidArgumentError(message), kExitUsage, "ocp-watch --help");
}

// How many of `arguments` are options of ours, with their values.
size_t OptionsBefore(const CLI::App& parser, const std::vector<std::string>& arguments) {
  size_t i = 0;
  while (i < arguments.size()) {
    const std::string& word = arguments[i];
    if (word.size() < 2 || word[0] != '-' || word == "--") return i;
    ++i;
    if (word.find('=') != std::string::npos) continue;
    const CLI::Option* option = parser.get_option_no_throw(word);
    if (option != nullptr && option->get_items_expected_min() > 0 && i < arguments.size()) ++i;
  }
  return i;
}

absl::Status UnknownOption(const CLI::App& parser, const Command& command, const std::string& word) {
  if (word.empty() || word[0] != '-') {
    return absl::InvalidArgumentError(absl::StrCat("unexpected argument \"", Printable(word), "\""));
  }
  std::vector<std::string> names;
  for (const CLI::Option* option : parser.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  const std::string plain = word.substr(0, word.find('='));
  const std::string_view nearest = Nearest(plain, {names.begin(), names.end()});
  std::string message = absl::StrCat("\"ocp-watch ", std::string(command.name), "\" has no option ", Printable(plain));
  if (!nearest.empty()) message += "; did you mean " + std::string(nearest) + "?";
  return absl::InvalidArgumentError(message);
}

}  // namespace

const std::vector<Command>& Commands() {
  static const std::vector<Command> commands = {
      kRecordCommand,   kBuildCommand,  kExplainCommand, kWhyCommand,   kAffectedCommand, kReportCommand,
      kSessionsCommand, kFollowCommand, kRmCommand,      kStatsCommand, kGcCommand,       kVerifyCommand,
      kClearCommand,    kStatusCommand, kStartCommand,   kStopCommand,  kDoctorCommand,   kVersionCommand};
  return commands;
}

absl::Status ParseInvocation(const Command& command, std::vector<std::string> arguments, Invocation* invocation) {
  invocation->command = &command;
  CLI::App parser;
  parser.set_help_flag();
  parser.allow_extras();
  invocation->run = command.define(parser);
  if (command.takes_command) {
    const size_t ours = OptionsBefore(parser, arguments);
    const size_t first = ours < arguments.size() && arguments[ours] == "--" ? ours + 1 : ours;
    invocation->words.assign(arguments.begin() + static_cast<ptrdiff_t>(first), arguments.end());
    arguments.resize(ours);
  }
  const auto end = std::find(arguments.begin(), arguments.end(), "--");
  invocation->help =
      std::any_of(arguments.begin(), end, [](const auto& word) { return word == "--help" || word == "-h"; });
  if (invocation->help) return absl::OkStatus();
  std::reverse(arguments.begin(), arguments.end());  // As CLI11 wants it.
  try {
    parser.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  const std::vector<std::string> unknown = parser.remaining();
  if (!unknown.empty()) return UnknownOption(parser, command, unknown[0]);
  if (command.takes_command && invocation->words.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"ocp-watch ", std::string(command.name), "\" needs a command to run"));
  }
  return absl::OkStatus();
}

int RunMain(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return ShowText(Overview());
  std::string name = arguments[0];
  if (name == "--help" || name == "-h" || name == "help") {
    if (arguments.size() == 1) return ShowText(Overview());
    const Command* command = FindCommand(arguments[1]);
    return command == nullptr ? UnknownCommand(arguments[1]) : ShowText(command->help);
  }
  if (name == "--version") name = "version";
  const Command* command = FindCommand(name);
  if (command == nullptr) return UnknownCommand(name);
  Invocation invocation;
  const absl::Status parsed = ParseInvocation(*command, {arguments.begin() + 1, arguments.end()}, &invocation);
  if (!parsed.ok()) {
    return Fail(parsed, command->takes_command ? kExitRecordFailed : kExitUsage, "ocp-watch " + name + " --help");
  }
  if (invocation.help) return ShowText(command->help);
  return invocation.run(std::move(invocation.words));
}

int Fail(const absl::Status& status, int exit_status, std::string_view next) {
  const Style style = StyleOf(STDERR_FILENO);
  std::string text = style.Paint("ocp-watch:", Color::kRed) + " ";
  text += Printable(std::string_view(status.message().data(), status.message().size())) + "\n";
  // The daemon's own words may say it already.
  const bool said = status.message().find(absl::string_view(next.data(), next.size())) != absl::string_view::npos;
  if (!next.empty() && !said) text += "  try: " + Printable(next) + "\n";
  fwrite(text.data(), 1, text.size(), stderr);
  return exit_status;
}

std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& known) {
  std::string_view best;
  // A third of the letters wrong is another word.
  size_t least = std::max<size_t>(word.size() / 3, 1) + 1;
  for (const std::string_view each : known) {
    const size_t distance = EditDistance(word, each);
    const bool prefix = word.size() >= 2 && each.substr(0, word.size()) == word;
    if (prefix || distance < least) {
      best = each;
      if (prefix) return best;
      least = distance;
    }
  }
  return best;
}

}  // namespace ocpwatch
