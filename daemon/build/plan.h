// What would run inside of a build whose own command must run, told from the records alone: nothing runs, nothing is
// changed, nothing is counted.
//
// What is not known: what a command that never ran will start; which of its products one that starts others makes anew;
// and whether they come out as they were, so that those who read them need not run.
#ifndef OCPWATCH_DAEMON_BUILD_PLAN_H_
#define OCPWATCH_DAEMON_BUILD_PLAN_H_

#include <memory>
#include <optional>
#include <vector>

#include "daemon/build/holds.h"
#include "daemon/store/store.h"

namespace ocpwatch {

struct PlannedCommand {
  enum class Outcome { kReused, kRuns, kMayRun };
  v1::Fingerprint key;  // Of it argv and cwd.
  Outcome outcome = Outcome::kRuns;
  Mismatch why;  // Where it is not reused.
};

// The commands that took part in the last run of `whole` and read what is not any more as it was then, and in their
// wake those that read what these make; in this order.
std::vector<PlannedCommand> PlanBelow(Store* store, const StoredAction& whole);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_PLAN_H_
