// Does what an action would have done to the file system, from its record.
//
// In steps, so that what can fail fails before anything is changed: names and types are checked, every content that has
// to be written is laid beside its place under a temporary name (staged_names.h), then all are renamed into place in
// the order of the record; modes of directories come last. A restore that is killed half way leaves each file either as
// it was or as it becomes (but one with several names, that the command wrote into, as a killed command would), and the
// next build finds out which.
#ifndef OCPWATCH_DAEMON_BUILD_RESTORE_H_
#define OCPWATCH_DAEMON_BUILD_RESTORE_H_

#include <vector>

#include "absl/status/status.h"
#include "daemon/store/store.h"
#include "ocpwatch/v1/action.pb.h"

namespace ocpwatch {

// `renewed`: of each effect, whether it gets the time of now also where its content is there, as if it had been
// written: who comes after looks at times.
//
// Errors: DATA_LOSS or NOT_FOUND where a content is not to be had any more; others where the disk refuses. `changed` is
// set if something has been changed before the error.
absl::Status Restore(const v1::ActionRecord& record, const std::vector<bool>& renewed, Store* store, bool* changed);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_RESTORE_H_
