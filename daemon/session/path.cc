#include "daemon/session/path.h"

namespace ocpwatch {

namespace {

// "/" is no prefix of its own: everything is appended with its slash.
std::string_view AsPrefix(std::string_view directory) { return directory == "/" ? std::string_view() : directory; }

bool IsWithin(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace

bool ResolvePath(std::string_view root, std::string_view base, std::string_view path, std::string* result) {
  result->clear();
  if (path.empty()) return false;
  root = AsPrefix(root);
  base = AsPrefix(base);
  const bool absolute = path.front() == '/';
  const std::string_view start = absolute ? root : base;
  // A directory opened before a chroot can lie outside of the root; ".." from there is not held back.
  const size_t floor = IsWithin(start, root) ? root.size() : 0;
  if (start.size() + 1 + path.size() > kMaxResolvedPath) return false;
  result->assign(start);
  for (size_t from = 0; from < path.size();) {
    size_t to = path.find('/', from);
    if (to == std::string_view::npos) to = path.size();
    const std::string_view part = path.substr(from, to - from);
    from = to + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (result->size() > floor) result->resize(result->rfind('/'));
      continue;
    }
    result->push_back('/');
    result->append(part);
  }
  if (result->empty()) result->push_back('/');
  return true;
}

}  // namespace ocpwatch
