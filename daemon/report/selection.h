// Which commands and files a report takes: v1::Selection applied to a Trace.
//
// A use is taken if its path and its kind are. A command is taken if --command and --failed allow it and, where the
// selection speaks of paths or kinds, if it has a use that is taken.
#ifndef OCPWATCH_DAEMON_REPORT_SELECTION_H_
#define OCPWATCH_DAEMON_REPORT_SELECTION_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "daemon/session/trace.h"
#include "ocpwatch/v1/monitor.pb.h"

namespace ocpwatch {

class Selector {
 public:
  // `selection` outlives the selector. One selector is for one trace, which may grow meanwhile.
  explicit Selector(const v1::Selection& selection);

  bool TakesPath(std::string_view path) const;
  bool TakesUse(const Trace& trace, const Use& use) const;
  bool TakesCommand(const Trace& trace, const Command& command) const;
  // --command and --failed alone.
  bool TakesCommandItself(const Command& command) const;
  bool limits_paths() const { return limits_paths_; }
  bool limits_uses() const { return limits_paths_ || limits_kinds_; }
  bool limits_commands() const { return selection_.failed() || !commands_.empty(); }

 private:
  const v1::Selection& selection_;
  const absl::flat_hash_set<CommandId> commands_;
  const bool limits_paths_;
  const bool limits_kinds_;
  mutable std::vector<signed char> known_;  // By PathId: 0 not asked yet, 1 taken, -1 not.
};

// Counts rows up to a limit; 0 is none.
class RowLimit {
 public:
  explicit RowLimit(uint64_t limit) : limit_(limit) {}
  // False: this row is left out.
  bool Take() {
    if (limit_ != 0 && taken_ == limit_) {
      ++left_out_;
      return false;
    }
    ++taken_;
    return true;
  }
  uint64_t left_out() const { return left_out_; }
  bool is_reached() const { return limit_ != 0 && taken_ == limit_; }

 private:
  const uint64_t limit_;
  uint64_t taken_ = 0;
  uint64_t left_out_ = 0;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_REPORT_SELECTION_H_
