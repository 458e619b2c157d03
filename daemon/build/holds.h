// Whether what an action once learnt of the world is still so.
//
// The rules of DESIGN 7 (2), per observation: a content by its digest, absence by absence, a listing by names and
// types, a status by type, mode, size and mtime or else by type, mode and content. A look at times alone counts only
// where the record says so: the time itself, or which of the files is older.
#ifndef OCPWATCH_DAEMON_BUILD_HOLDS_H_
#define OCPWATCH_DAEMON_BUILD_HOLDS_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/node_hash_map.h"
#include "absl/functional/function_ref.h"
#include "daemon/build/absent_names.h"
#include "daemon/build/file_state.h"
#include "daemon/store/store.h"
#include "ocpwatch/v1/action.pb.h"

namespace ocpwatch {

struct Mismatch {
  v1::Decision::Reason reason = v1::Decision::REASON_NONE;
  std::string path;
  std::string text;  // For people, without the path: "was edited".
};

using EffectsByPath = absl::flat_hash_map<std::string_view, const v1::Effect*>;
// As long as the record lives.
EffectsByPath IndexEffects(const v1::ActionRecord& record);

// Compares records with the present. The states of one moment: each path is looked at once, so use one for each
// decision. Not thread-safe.
class Present {
 public:
  // `absent`: what is known to be absent from moments before; outlives it.
  Present(Store* store, AbsentNames* absent) : store_(*store), absent_(*absent) { absent_.NewMoment(); }

  // The first observation of `record` that does not hold. `is_alike`: whether absent and regular are the same of a
  // path, see AlikePaths; only asked where it matters. `whole`: the record is of the session's own command, of which it
  // is asked whether anything needs to be done at all; then what it only looked at before it made it may also be as it
  // left it.
  std::optional<Mismatch> FirstMismatch(const v1::ActionRecord& record, bool whole,
                                        absl::FunctionRef<bool(const std::string&)> is_alike);

  // An observation of one of `suspects` that does not hold: those that have let others down are asked first, which
  // saves most of the looks. No verdict that all others hold.
  std::optional<Mismatch> MismatchAmong(const v1::ActionRecord& record, const std::vector<std::string>& suspects);

  // The same for one observation. `own`: paths with an effect of the record, which do not count in listings; null: they
  // do, where the record's command found them. `touched`: set if the content is the same and the time, which did not
  // matter, is not.
  std::optional<Mismatch> Compare(const v1::Observation& observation, const absl::flat_hash_set<std::string>* own,
                                  bool* touched = nullptr);

  // At the last FirstMismatch something had another time, and the content that was known.
  bool touched() const { return !touched_.empty(); }
  // One of these, where nothing in `record` tells what comes of it for who goes by times. The action only looked at it
  // and did not make it: a make that had nothing to do would run the recipe, which may fail. Or it is a make that has
  // made a part only: of what it left alone it is not known what that is made from. `all`: the effects of `record`.
  std::optional<Mismatch> TouchedUnread(const v1::ActionRecord& record, const EffectsByPath& all);
  // Of that record, of which all holds and whose products may be there: which of its effects would be made anew, by
  // their place. Those that are gone, and those that are made from something that is made anew or was touched: as far
  // as is known, for with a newer time than it has a right to a product hides an edit that was made before.
  std::vector<bool> MadeAnew(const v1::ActionRecord& record, const EffectsByPath& all);

  // What the action left is there. `all`: its other effects.
  bool IsFinal(const v1::Effect& effect, const EffectsByPath& all);

  const FileState& State(const std::string& path, bool nofollow);
  // Of a regular file as State says it is; none if it cannot be read, or is changing.
  std::optional<Digest> DigestNow(const std::string& path, const FileState& state);

 private:
  Store& store_;
  AbsentNames& absent_;
  // Whether no link is on the way to `path`, nor at its end. Each directory is asked once: realpath(3) asks for all of
  // them again at every path, which in a build of redis after a clean made 78,000 calls of readlink(2) instead of
  // 5,000.
  bool IsReal(const std::string& path);
  std::string Real(const std::string& path);  // As RealPath().

  // At the path itself; and, where that is a link, at its end. States are handed out while others are added.
  absl::node_hash_map<std::string, FileState> states_;
  absl::node_hash_map<std::string, FileState> led_to_;
  absl::flat_hash_map<std::string, bool> real_directories_;
  // The store does not remember those of files that have just been written.
  absl::flat_hash_map<std::string, std::optional<Digest>> digests_;
  std::vector<const v1::Observation*> touched_;
};

// Whether the observation is only of whether something is there, and what it looks like from outside.
bool IsOnlyALook(const v1::Observation& observation);

// The outputs of a command for which it does not matter whether there is one already: as is known of those that its
// process looks at only to remove them before it makes them anew (the assembler's and the linker's), once the records
// of its fingerprint show it with one and without one, and with the same set of effects.
absl::flat_hash_set<std::string> AlikePaths(const std::vector<std::shared_ptr<const StoredAction>>& records);

// For FirstMismatch.
inline bool NoneAlike(const std::string&) { return false; }

// The paths that an action leaves something at.
absl::flat_hash_set<std::string> OwnPaths(const v1::ActionRecord& record);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_HOLDS_H_
