// Names that libc drew at random (mkstemp and its like), so that a command which is told one can be reused when it is
// told another: `cc1 -o /tmp/ccAbCdEf.s` below a gcc that must itself run.
//
// In the fingerprint and in the record such a name has a canonical form, its random part replaced by the number of the
// name in the command: "/tmp/<temporary 1>.s". A name that was drawn at random could as well have been the one of the
// recorded run; so what that run did is what this one may do, as long as the name itself is nowhere in what it left:
// the record says which parts were random, and contents are searched for them before the first reuse.
#ifndef OCPWATCH_DAEMON_BUILD_TEMPORARIES_H_
#define OCPWATCH_DAEMON_BUILD_TEMPORARIES_H_

#include <string>
#include <string_view>
#include <vector>

#include "ocpwatch/v1/action.pb.h"

namespace ocpwatch {

class Temporaries {
 public:
  // Puts the canonical forms of those of `paths` that `key` has in its arguments, environment, directory or program
  // there in place of the paths themselves; they count from the first that is mentioned.
  static Temporaries Of(const std::vector<std::string>& paths, v1::Fingerprint* key);

  bool empty() const { return names_.empty(); }
  // What the command says of these names, or of names that begin with them, it says of the canonical ones. False if the
  // random part of one is left somewhere: the record cannot be used for another.
  bool Canonicalise(v1::ActionRecord* record) const;
  // The other way round: `record` was made canonical by a command of the same fingerprint.
  void Name(v1::ActionRecord* record) const;

 private:
  struct Entry {
    std::string path;
    std::string canonical;
    std::string random;
  };
  std::vector<Entry> names_;
};

// Whether `content` has one of the random parts that the record was made with.
bool MentionsTemporary(const v1::ActionRecord& record, std::string_view content);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_TEMPORARIES_H_
