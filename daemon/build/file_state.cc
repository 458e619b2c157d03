#include "daemon/build/file_state.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>

#include "daemon/store/staged_names.h"

namespace ocpwatch {

v1::FileType TypeOf(uint32_t mode) {
  if (S_ISREG(mode)) return v1::FILE_REGULAR;
  if (S_ISDIR(mode)) return v1::FILE_DIRECTORY;
  if (S_ISLNK(mode)) return v1::FILE_SYMLINK;
  return v1::FILE_OTHER;
}

FileState StateOf(const std::string& path, bool nofollow) {
  FileState state;
  struct stat status;
  if ((nofollow ? lstat(path.c_str(), &status) : stat(path.c_str(), &status)) != 0) {
    if (errno != ENOENT) state.error = errno;
    return state;
  }
  state.type = TypeOf(status.st_mode);
  state.stamp = FileStamp::Of(status);
  state.links = status.st_nlink;
  if (state.type == v1::FILE_SYMLINK) {
    char target[PATH_MAX];
    const ssize_t size = readlink(path.c_str(), target, sizeof target);
    if (size > 0) state.target.assign(target, static_cast<size_t>(size));
  }
  return state;
}

std::string DirectoryOf(const std::string& path) { return path.substr(0, std::max<size_t>(1, path.rfind('/'))); }

std::string RealPath(const std::string& path) {
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) != nullptr ? std::string(resolved) : path;
}

Listing List(const std::string& path) {
  Listing listing;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
  if (directory == nullptr) return listing;
  while (const dirent* entry = readdir(directory.get())) {
    std::string name = entry->d_name;
    // What is about to be renamed into place is nothing that a command has made.
    if (name != "." && name != ".." && !StagedNames::IsStaged(name))
      listing.push_back({std::move(name), entry->d_type});
  }
  std::sort(listing.begin(), listing.end());
  return listing;
}

Digest DigestOf(const Listing& listing, absl::FunctionRef<bool(const std::string& name)> own) {
  std::string bytes;
  for (const ListedName& entry : listing) {
    if (own(entry.name)) continue;
    bytes += static_cast<char>(entry.type);
    bytes += entry.name;
    bytes += '\0';
  }
  return DigestOf(bytes);
}

}  // namespace ocpwatch
