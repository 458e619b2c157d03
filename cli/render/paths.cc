#include "cli/render/paths.h"

#include <algorithm>
#include <array>
#include <utility>

#include "cli/render/text.h"

namespace ocpwatch {
namespace {

// Not what a build is about; a compiler alone reads a hundred files of theirs.
constexpr std::array<std::string_view, 9> kSystem = {"/usr/", "/lib/",  "/lib64/", "/bin/", "/sbin/",
                                                     "/etc/", "/proc/", "/dev/",   "/sys/"};

// What every program comes with, whatever it does.
constexpr std::array<std::string_view, 9> kPrograms = {"/usr/bin/", "/usr/sbin/", "/usr/lib", "/lib/",        "/lib64/",
                                                       "/bin/",     "/sbin/",     "/lib32/",  "/usr/libexec/"};

template <typename List>
bool BeginsWithOneOf(std::string_view path, const List& beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [path](std::string_view each) { return path.substr(0, each.size()) == each; });
}

// The name of the group that a path of the system goes to, such as its first two directories: /usr/include of
// /usr/include/x86_64-linux-gnu/sys/types.h. Empty for all other paths, and for those below `directory`, which may
// itself be /usr/src/project.
std::string_view SystemGroup(std::string_view path, std::string_view directory) {
  if (directory.size() > 1 && path.substr(0, directory.size()) == directory) return {};
  if (!BeginsWithOneOf(path, kSystem)) return {};
  const size_t first = path.find('/', 1);
  const size_t second = path.find('/', first + 1);
  // A compiler's own headers count as headers.
  if (BeginsWithOneOf(path, kPrograms)) {
    return path.find("/include/") != std::string_view::npos ? "/usr/include" : "programs and libraries";
  }
  return path.substr(0, second == std::string_view::npos ? first : second);
}

// As many of `words` as fit, separated by two blanks, then how many did not.
std::string Fit(const std::vector<std::string>& words, size_t width, bool utf8) {
  const size_t reserve = sizeof " ... 1,234 more";
  std::string line;
  size_t used = 0;
  size_t shown = 0;
  for (; shown < words.size(); ++shown) {
    const size_t needed = DisplayWidth(words[shown]) + (shown > 0 ? 2 : 0);
    const size_t kept = shown + 1 < words.size() ? reserve : 0;
    if (width != 0 && shown > 0 && used + needed + kept > width) break;
    if (shown > 0) line += "  ";
    line += words[shown];
    used += needed;
  }
  if (shown < words.size()) line += (utf8 ? "  … " : "  ... ") + Count(words.size() - shown) + " more";
  return shown <= 1 && width != 0 ? Truncated(line, width, utf8) : line;
}

}  // namespace

std::vector<std::string> BriefPaths(const PathList& paths, std::string_view directory, size_t width, bool utf8) {
  std::vector<std::string> own;
  std::vector<std::pair<std::string_view, size_t>> groups;
  for (const std::string& path : paths) {
    const std::string_view group = SystemGroup(path, directory);
    if (group.empty()) {
      own.push_back(ShortPath(path, directory));
      continue;
    }
    const auto known =
        std::find_if(groups.begin(), groups.end(), [&](const auto& each) { return each.first == group; });
    if (known == groups.end()) {
      groups.emplace_back(group, 1);
    } else {
      ++known->second;
    }
  }
  std::vector<std::string> lines;
  if (!own.empty()) lines.push_back(Fit(own, width, utf8));
  // The most telling first: programs and libraries are the same for most commands.
  std::stable_partition(groups.begin(), groups.end(), [](const auto& each) { return each.first[0] == '/'; });
  std::vector<std::string> system;
  system.reserve(groups.size());
  for (const auto& [group, count] : groups) system.push_back(Printable(group) + " (" + Count(count) + ")");
  if (!system.empty()) lines.push_back(Fit(system, width, utf8));
  return lines;
}

}  // namespace ocpwatch
