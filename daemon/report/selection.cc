#include "daemon/report/selection.h"

#include <fnmatch.h>

#include <algorithm>

namespace ocpwatch {
namespace {

bool IsBelow(std::string_view path, std::string_view directory) {
  while (directory.size() > 1 && directory.ends_with('/')) directory.remove_suffix(1);
  if (directory == "/") return path.starts_with('/');
  return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace

Selector::Selector(const v1::Selection& selection)
    : selection_(selection),
      commands_(selection.commands().begin(), selection.commands().end()),
      limits_paths_(!selection.under().empty() || !selection.glob().empty()),
      limits_kinds_(selection.reads() || selection.writes() || selection.missing()) {}

bool Selector::TakesPath(std::string_view path) const {
  if (!limits_paths_) return true;
  const bool is_under =
      selection_.under().empty() || std::any_of(selection_.under().begin(), selection_.under().end(),
                                                [&](const std::string& directory) { return IsBelow(path, directory); });
  if (!is_under) return false;
  if (selection_.glob().empty()) return true;
  const std::string terminated(path);
  return std::any_of(selection_.glob().begin(), selection_.glob().end(),
                     [&](const std::string& pattern) { return fnmatch(pattern.c_str(), terminated.c_str(), 0) == 0; });
}

bool Selector::TakesUse(const Trace& trace, const Use& use) const {
  if (limits_kinds_ && !(selection_.reads() && IsRead(use)) && !(selection_.writes() && IsWrite(use)) &&
      !(selection_.missing() && IsMissing(use))) {
    return false;
  }
  if (!limits_paths_) return true;
  if (use.path >= known_.size()) known_.resize(std::max<size_t>(trace.path_count(), use.path + 1));
  signed char& known = known_[use.path];
  if (known == 0) known = TakesPath(trace.Path(use.path)) ? 1 : -1;
  return known > 0;
}

bool Selector::TakesCommandItself(const Command& command) const {
  if (!commands_.empty() && !commands_.contains(command.id)) return false;
  if (!selection_.failed()) return true;
  return command.end == v1::END_SIGNAL || (command.end == v1::END_EXIT && command.end_value != 0);
}

bool Selector::TakesCommand(const Trace& trace, const Command& command) const {
  if (!TakesCommandItself(command)) return false;
  return !limits_uses() ||
         std::any_of(command.uses.begin(), command.uses.end(), [&](const Use& use) { return TakesUse(trace, use); });
}

}  // namespace ocpwatch
