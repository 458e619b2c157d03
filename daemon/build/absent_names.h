// Names that are not there, remembered for as long as their directories have not changed.
//
// Nine of ten paths that a compiler looks at are not there: each header is looked for in each directory of a list. To
// decide that a build of redis after a clean can be put back took 115,000 lstat(2), 85,000 of them in vain, in ten
// directories or so that nobody changes meanwhile. Whatever is made in a directory changes its mtime and ctime, on the
// filesystems named in absent_names.cc: so one stat(2) of the directory answers for all of them.
//
// Not thread-safe.
#ifndef OCPWATCH_DAEMON_BUILD_ABSENT_NAMES_H_
#define OCPWATCH_DAEMON_BUILD_ABSENT_NAMES_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/node_hash_map.h"
#include "absl/strings/string_view.h"
#include "daemon/store/file_stamp.h"

namespace ocpwatch {

class AbsentNames {
 public:
  // From here on directories are looked at again, each once.
  void NewMoment() { ++moment_; }

  // Nothing is at `path` (absolute): it was not there, and nothing has been made in its directory since; or there is no
  // such directory. False: not known.
  bool Has(absl::string_view path);

  // Nothing was there (ENOENT), which was found out after Has() of the same path, in the same moment.
  void Add(absl::string_view path);

 private:
  // A million names are 100 MB; a build of redis looks for 3,000.
  static constexpr size_t kMaxNames = 200'000;

  struct Directory {
    uint64_t moment = 0;  // When it was looked at last.
    FileStamp stamp;
    bool is_absent = false;
    bool settled = false;  // A change would give it another stamp.
    absl::flat_hash_set<std::string> names;
  };

  void Look(const std::string& path, Directory* directory);
  bool KeepsTimes(const std::string& directory, uint64_t dev);

  uint64_t moment_ = 1;
  size_t names_ = 0;
  absl::node_hash_map<std::string, Directory> directories_;
  absl::flat_hash_map<uint64_t, bool> keeps_times_;  // By device.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_ABSENT_NAMES_H_
