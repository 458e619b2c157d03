// Whether what an action once learnt of the world is still so.
//
// The rules of DESIGN 7 (2), per observation: a content by its digest, absence by absence, a listing by names and
// types, a status by type, mode, size and mtime or else by type, mode and content. A look at times alone counts only
// where the record says so.
#ifndef OCPWATCH_DAEMON_BUILD_HOLDS_H_
#define OCPWATCH_DAEMON_BUILD_HOLDS_H_

#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "daemon/build/file_state.h"
#include "daemon/store/store.h"
#include "ocpwatch/v1/action.pb.h"

namespace ocpwatch {

struct Mismatch {
  v1::Decision::Reason reason = v1::Decision::REASON_NONE;
  std::string path;
  std::string text;  // For people, without the path: "was edited".
};

// Compares records with the present. The states of one moment: each path is looked at once, so use one for each
// decision. Not thread-safe.
class Present {
 public:
  explicit Present(Store* store) : store_(*store) {}

  // The first observation of `record` that does not hold. `whole`: the record is of the session's own command, of which
  // it is asked whether anything needs to be done at all; then what it made itself, and only looked at before it was
  // made, does not count.
  std::optional<Mismatch> FirstMismatch(const v1::ActionRecord& record, bool whole);

  // The same for one observation. `own`: paths with an effect of the record; they do not count in listings.
  std::optional<Mismatch> Compare(const v1::Observation& observation, const absl::flat_hash_set<std::string>& own);

  const FileState& State(const std::string& path, bool nofollow);
  // Of a regular file as State says it is; none if it cannot be read, or is changing.
  std::optional<Digest> DigestNow(const std::string& path, const FileState& state);

 private:
  Store& store_;
  absl::flat_hash_map<std::string, FileState> states_[2];  // By nofollow.
};

// The paths that an action leaves something at.
absl::flat_hash_set<std::string> OwnPaths(const v1::ActionRecord& record);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_HOLDS_H_
