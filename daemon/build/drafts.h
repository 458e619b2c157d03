// What a command has learnt of its own products before they were as it left them in the end.
//
// Where all that a session's own command made is as it left it, it need not run again (DESIGN 7 (3)), although it found
// nothing there when it ran. That is true of `cc -c x.c; ar rc lib.a x.o`, and wrong of
// `[ -f n ] || echo 0 > n; read c < n; echo $((c + 1)) > n`: with the last n there from the start it would have read
// another. So it is kept which products were read, or added to, in the making, and whether that differs from the end.
//
// Not thread-safe.
#ifndef OCPWATCH_DAEMON_BUILD_DRAFTS_H_
#define OCPWATCH_DAEMON_BUILD_DRAFTS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "daemon/session/trace.h"
#include "daemon/store/digest.h"

namespace ocpwatch {

class Drafts {
 public:
  // A product of `size` bytes was read.
  void Read(PathId path, uint64_t size);
  // A product of `size` bytes was opened for writing and not emptied.
  void AddTo(PathId path, uint64_t size);

  // Whether it was read since its last change: then the next one is to be told of, with what was read.
  bool IsRead(PathId path) const;
  // `read`: none if that is not known any more.
  void Change(PathId path, const std::optional<Digest>& read);

  // What was read, or added to, is something else than what it is in the end.
  bool Differ(PathId path, const Digest& end) const;

 private:
  struct Draft {
    bool is_read = false;         // Since the last change,
    uint64_t size = 0;            // when it had this size: a change by whoever had it open all the time is not seen.
    std::vector<Digest> read;     // Before.
    std::vector<uint64_t> added;  // Sizes when it was added to.
    bool unknown = false;
  };
  absl::flat_hash_map<PathId, Draft> drafts_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_DRAFTS_H_
