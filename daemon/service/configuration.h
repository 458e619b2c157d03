// The user's configuration file: where it is, and reading it.
//
// A file with a mistake stops the daemon with the line and the reason: a person who set a bound on the logs has to know
// that it does not hold.
#ifndef OCPWATCH_DAEMON_SERVICE_CONFIGURATION_H_
#define OCPWATCH_DAEMON_SERVICE_CONFIGURATION_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "ocpwatch/v1/configuration.pb.h"

namespace ocpwatch {

// An hour: a developer's builds of one day share one daemon; what it holds meanwhile is some 20 MB.
inline constexpr uint32_t kDefaultIdleExitSeconds = 3600;
// Under socket activation the next client starts it again by itself, at no more than its connect.
inline constexpr uint32_t kDefaultActivatedIdleExitSeconds = 600;
// Some 200 logs of ten million events each.
inline constexpr uint64_t kDefaultMaxLogBytes = 20'000'000'000;
inline constexpr uint64_t kDefaultMaxStoreBytes = 10'000'000'000;
inline constexpr uint32_t kDefaultMaxActionAgeDays = 90;

// $XDG_CONFIG_HOME/ocp-watch/config.textproto, else ~/.config/ocp-watch/config.textproto; empty where there is no home.
std::string ConfigurationPath();

// What stands in `path`; the defaults where there is no such file or `path` is empty. INVALID_ARGUMENT names file, line
// and reason. The calls are not checked here: see behaviours.h.
absl::StatusOr<v1::Configuration> LoadConfiguration(const std::string& path);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SERVICE_CONFIGURATION_H_
