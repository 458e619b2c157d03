#include "cli/report_options.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/render/text.h"

namespace ocpwatch {
namespace {

constexpr std::array<std::pair<std::string_view, v1::View>, 5> kViews = {{{"summary", v1::VIEW_SUMMARY},
                                                                          {"tree", v1::VIEW_TREE},
                                                                          {"files", v1::VIEW_FILES},
                                                                          {"commands", v1::VIEW_COMMANDS},
                                                                          {"events", v1::VIEW_EVENTS}}};

constexpr std::array<std::pair<std::string_view, v1::View>, 3> kExports = {
    {{"compile-commands", v1::VIEW_COMPILE_COMMANDS}, {"chrome-trace", v1::VIEW_CHROME_TRACE}, {"dot", v1::VIEW_DOT}}};

template <typename List>
const v1::View* FindView(const List& list, std::string_view name) {
  for (const auto& [each, view] : list) {
    if (each == name) return &view;
  }
  return nullptr;
}

// A word with a slash or the suffix of a log is a file, and so is a file that lies here; ids are bare numbers.
bool IsLog(const std::string& word, const std::string& path) {
  constexpr std::string_view kSuffix = ".ocplog";
  if (word.find('/') != std::string::npos) return true;
  if (word.size() > kSuffix.size() && word.compare(word.size() - kSuffix.size(), kSuffix.size(), kSuffix) == 0)
    return true;
  if (word.find_first_not_of("0123456789") == std::string::npos) return false;
  struct stat status = {};
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

absl::Status UnknownFormat(const std::string& format) {
  std::string message = absl::StrCat("there is no format \"", Printable(format),
                                     "\"; there are text, json, jsonl, compile-commands, chrome-trace and dot");
  return absl::InvalidArgumentError(message);
}

void Select(const ReportOptions& options, const std::string& directory, v1::Selection* selection) {
  for (const std::string& under : options.under) selection->add_under(AbsolutePath(under, directory));
  for (const std::string& glob : options.glob) selection->add_glob(glob);
  selection->set_reads(options.reads);
  selection->set_writes(options.writes);
  selection->set_missing(options.missing);
  selection->set_failed(options.failed);
  for (const uint32_t command : options.commands) selection->add_commands(command);
  if (!options.file.empty()) selection->set_file(AbsolutePath(options.file, directory));
  selection->set_limit(options.limit);
}

}  // namespace

void AddReportOptions(CLI::App& parser, ReportOptions* options) {
  // allow_extra_args: `--under src 12` is one directory and a session, not two directories.
  parser.add_option("words", options->words);
  parser.add_option("--format", options->format);
  parser.add_flag("--json", options->json);
  parser.add_option("--under", options->under)->allow_extra_args(false);
  parser.add_option("--glob", options->glob)->allow_extra_args(false);
  parser.add_flag("--reads", options->reads);
  parser.add_flag("--writes", options->writes);
  parser.add_flag("--missing", options->missing);
  parser.add_flag("--failed", options->failed);
  parser.add_option("--command", options->commands)->allow_extra_args(false);
  parser.add_option("--file", options->file);
  parser.add_option("--limit", options->limit);
}

absl::StatusOr<ReportPlan> PlanReport(const ReportOptions& options, const std::string& directory) {
  ReportPlan plan;
  std::vector<std::string> words = options.words;
  const v1::View* chosen = words.empty() ? nullptr : FindView(kViews, words[0]);
  if (chosen != nullptr) {
    words.erase(words.begin());
  } else if (words.size() == 2 && (chosen = FindView(kViews, words[1])) != nullptr) {
    words.pop_back();
  }
  if (words.size() > 1) {
    std::string message = absl::StrCat("\"", Printable(words[0]), "\" is no view");
    const std::string_view nearest = Nearest(words[0], {"summary", "tree", "files", "commands", "events"});
    if (!nearest.empty()) message += "; did you mean \"ocp-watch report " + std::string(nearest) + "\"?";
    if (chosen != nullptr)
      message = "a report is of one session: " + Printable(words[0]) + " or " + Printable(words[1]);
    return absl::InvalidArgumentError(message);
  }

  const std::string format = options.json ? "json" : options.format;
  const v1::View* exported = FindView(kExports, format);
  v1::View view = chosen != nullptr ? *chosen : v1::VIEW_SUMMARY;
  if (format == "json") {
    plan.format = ReportFormat::kJson;
    if (chosen == nullptr) view = v1::VIEW_DOCUMENT;
  } else if (format == "jsonl") {
    plan.format = ReportFormat::kJsonLines;
    if (chosen == nullptr) view = v1::VIEW_TREE;
  } else if (exported != nullptr) {
    plan.format = ReportFormat::kExport;
    if (chosen != nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("--format ", format, " is of the whole session, not of a view"));
    }
    view = *exported;
  } else if (format != "text") {
    return UnknownFormat(format);
  }
  if (!options.file.empty()) {
    if (chosen != nullptr) {
      return absl::InvalidArgumentError("--file tells everything about one file; it goes without a view");
    }
    if (plan.format == ReportFormat::kExport) {
      return absl::InvalidArgumentError(absl::StrCat("--file does not go with --format ", format));
    }
    view = v1::VIEW_ORIGIN;
  } else if (chosen == nullptr && plan.format == ReportFormat::kText) {
    // A selection is about files or commands, and a summary has none: what was asked for decides.
    if (options.reads || options.writes || options.missing || !options.under.empty() || !options.glob.empty()) {
      view = v1::VIEW_FILES;
    } else if (!options.commands.empty()) {
      view = v1::VIEW_TREE;
    } else if (options.failed) {
      view = v1::VIEW_COMMANDS;
    }
  }
  plan.request.set_view(view);
  if (!words.empty()) {
    const std::string path = AbsolutePath(words[0], directory);
    if (IsLog(words[0], path)) {
      plan.request.set_log(path);
    } else {
      plan.request.set_session(words[0]);
    }
  }
  Select(options, directory, plan.request.mutable_selection());
  return plan;
}

std::string AbsolutePath(const std::string& path, const std::string& directory) {
  const std::string whole = !path.empty() && path[0] == '/' ? path : directory + "/" + path;
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin < whole.size()) {
    const size_t end = std::min(whole.find('/', begin), whole.size());
    std::string part = whole.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
      continue;
    }
    parts.push_back(std::move(part));
  }
  std::string result;
  for (const std::string& part : parts) result += "/" + part;
  return result.empty() ? "/" : result;
}

std::string WorkingDirectory() {
  char path[PATH_MAX];
  return getcwd(path, sizeof path) == nullptr ? "" : path;
}

}  // namespace ocpwatch
