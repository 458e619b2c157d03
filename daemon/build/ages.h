// Whether files are older or newer than one another as they were.
//
// What is done only where the source is newer (`cp -u`, `mv -u`, `tar --keep-newer-files`) leaves a file with another
// time behind than the one that it looked at, so the time itself says nothing of whether it would do so again: a copy
// made anew in each build would never come to rest. What it compared says it: the order of the times.
#ifndef OCPWATCH_DAEMON_BUILD_AGES_H_
#define OCPWATCH_DAEMON_BUILD_AGES_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/build/holds.h"
#include "ocpwatch/v1/action.pb.h"

namespace ocpwatch {

// A modification time that counts, in nanoseconds since 1970. Where `look` has no age, both are the same.
struct Dated {
  const v1::Observation* look;  // Null: the time is one that a file is given.
  int64_t then_ns;              // When the record was made.
  int64_t now_ns;
};

// The first of `files` with an age that is not older or newer than another one as it was, of those that it is compared
// with (v1::Observation.aged_by). What the effects of `record` are given as their times is compared too: archivers
// leave what is newer than in the archive. N log N.
std::optional<Mismatch> FirstOtherAge(std::vector<Dated> files, const v1::ActionRecord& record);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_AGES_H_
