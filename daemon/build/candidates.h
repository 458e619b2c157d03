// The records that may stand for a command, each read only if nothing is known to speak against it.
//
// After an edit none of a compile's records holds: each has another content of the source. What has last spoken against
// a record is known (Candidate) and is looked at first; so most records are neither read nor parsed, nor are copies
// made of them with the names that the command's temporary files have today.
#ifndef OCPWATCH_DAEMON_BUILD_CANDIDATES_H_
#define OCPWATCH_DAEMON_BUILD_CANDIDATES_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "daemon/build/holds.h"
#include "daemon/build/temporaries.h"
#include "daemon/store/store.h"

namespace ocpwatch {

// Of one decision. Not thread-safe.
class CandidateRecords {
 public:
  // The newest first. Both outlive it.
  CandidateRecords(Store* store, std::string_view fingerprint, const Temporaries* temporaries)
      : store_(*store), temporaries_(*temporaries), all_(store->Candidates(fingerprint)), records_(all_.size()) {}

  size_t size() const { return all_.size(); }
  // What spoke against it the last time, if it still does.
  std::optional<Mismatch> StillAgainst(size_t place, Present* present) const;
  // With the names of today. Null if it is no more.
  const StoredAction* Get(size_t place);
  // The record does not hold because of an observation of `path`.
  void NoteMismatch(size_t place, const std::string& path, Present* present);
  // AlikePaths of all of them.
  const absl::flat_hash_set<std::string>& Alike();

 private:
  struct Record {
    std::shared_ptr<const StoredAction> stored;
    std::shared_ptr<const StoredAction> named;
  };
  const Record& Read(size_t place);

  Store& store_;
  const Temporaries& temporaries_;
  const std::vector<Candidate> all_;
  std::vector<Record> records_;
  std::optional<absl::flat_hash_set<std::string>> alike_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_CANDIDATES_H_
