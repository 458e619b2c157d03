#include "cli/record_options.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace ocpwatch {
namespace {

constexpr std::string_view kPreload = "LD_PRELOAD=";

void Split(std::string_view text, std::vector<std::string>* changes) {
  constexpr std::string_view kSeparators = ", \t\r";
  while (true) {
    const size_t begin = text.find_first_not_of(kSeparators);
    if (begin == std::string_view::npos) return;
    text.remove_prefix(begin);
    const size_t end = std::min(text.find_first_of(kSeparators), text.size());
    changes->emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CallChanges(const std::vector<std::string>& values) {
  std::vector<std::string> changes;
  for (const std::string& value : values) {
    if (value.find('=') != std::string::npos && value.find('/') == std::string::npos) {
      Split(value, &changes);
      continue;
    }
    std::ifstream file(value);
    if (!file) {
      return absl::InvalidArgumentError(absl::StrCat("--calls ", value, ": cannot read the file: ", strerror(errno),
                                                     " (a change looks like open=off or family:stat=before+after)"));
    }
    std::string line;
    while (std::getline(file, line)) Split(std::string_view(line).substr(0, line.find('#')), &changes);
  }
  return changes;
}

std::vector<std::string> WatchedEnvironment(char* const* environment, const std::string& preload,
                                            const std::string& watch_variable, const std::string& first) {
  const std::string watch_name = watch_variable.substr(0, watch_variable.find('=') + 1);
  std::vector<std::string> result;
  // "first::" is what the library takes out again; see preload/runtime/environment.h.
  const std::string front = first.empty() ? "" : first + "::";
  bool preloaded = preload.empty();
  for (; *environment != nullptr; ++environment) {
    std::string variable(*environment);
    if (variable.compare(0, watch_name.size(), watch_name) == 0) continue;
    if (variable.compare(0, kPreload.size(), kPreload) == 0 && !preloaded) {
      if (variable.size() > kPreload.size()) variable += ':';
      variable.insert(kPreload.size(), front);
      variable += preload;
      preloaded = true;
    }
    result.push_back(std::move(variable));
  }
  if (!preloaded) result.push_back(std::string(kPreload) + front + preload);
  result.push_back(watch_variable);
  return result;
}

}  // namespace ocpwatch
