// What is at a path now, as far as a program can learn it: the present that observations are compared with.
//
// Functions of the file system alone; any thread.
#ifndef OCPWATCH_DAEMON_BUILD_FILE_STATE_H_
#define OCPWATCH_DAEMON_BUILD_FILE_STATE_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "daemon/store/digest.h"
#include "daemon/store/file_stamp.h"
#include "ocpwatch/v1/action.pb.h"

namespace ocpwatch {

struct FileState {
  v1::FileType type = v1::FILE_ABSENT;
  FileStamp stamp;     // Not of what is absent.
  std::string target;  // Of a symbolic link itself.
  uint64_t links = 0;
  int32_t error = 0;  // Why it cannot be told. ENOTDIR: it is absent, but who asks hears that.
};

v1::FileType TypeOf(uint32_t mode);

// `nofollow`: of the link itself, where the path is one.
FileState StateOf(const std::string& path, bool nofollow);

// Of an absolute path.
std::string DirectoryOf(const std::string& path);

// What `path` leads to through all links; `path` itself where that cannot be found.
std::string RealPath(const std::string& path);

// A name in a directory, and its type as readdir tells it (DT_REG, ...).
struct ListedName {
  std::string name;
  unsigned char type = 0;
  friend auto operator<=>(const ListedName&, const ListedName&) = default;  // NOLINT(modernize-use-nullptr)
};
using Listing = std::vector<ListedName>;

// Sorted; without ".", ".." and staged names. Empty too where it cannot be read.
Listing List(const std::string& path);
// Names for which `own` is true do not count.
Digest DigestOf(const Listing& listing, absl::FunctionRef<bool(const std::string& name)> own);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_FILE_STATE_H_
