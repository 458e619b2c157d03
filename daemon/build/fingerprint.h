// What is known about a command before it runs, as one number: two commands of equal fingerprint that find the same
// world do the same.
//
// Not a part of it: the content of the executable and of its libraries (they are observations), the process's pid and
// limits, and what the ignore list below names of the environment, which changes from shell to shell and from day to
// day.
#ifndef OCPWATCH_DAEMON_BUILD_FINGERPRINT_H_
#define OCPWATCH_DAEMON_BUILD_FINGERPRINT_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ocpwatch/v1/action.pb.h"
#include "ocpwatch/v1/configuration.pb.h"

namespace ocpwatch {

// Raised whenever the meaning of a record changes: older ones never match.
inline constexpr uint32_t kActionVersion = 10;

class IgnoredEnvironment {
 public:
  // The table in fingerprint.cc, and what the configuration names.
  explicit IgnoredEnvironment(const v1::Configuration& configuration);
  // `entry`: "NAME=value".
  bool Has(std::string_view entry) const;
  // The entry without such words of its value as do not count.
  std::string Counted(const std::string& entry) const;

 private:
  // With `*` at the end where any rest may follow.
  std::vector<std::string> names_;
  std::map<std::string, std::vector<std::string>, std::less<>> words_;  // By the variable's name.
};

// Sorts the environment, takes out what is ignored, and sets the version.
void Settle(const IgnoredEnvironment& ignored, v1::Fingerprint* key);
// 32 bytes.
std::string FingerprintOf(const v1::Fingerprint& key);

// What differs between two keys, for people: "the variable CFLAGS is "-O2" and was "-O3"". Sets `reason` and `what` (a
// variable's name). Empty if nothing does.
std::string DifferenceOf(const v1::Fingerprint& now, const v1::Fingerprint& then, v1::Decision::Reason* reason,
                         std::string* what);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_FINGERPRINT_H_
