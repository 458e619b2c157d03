// When does a running daemon make way for the one of a client that asks it?
//
// After an upgrade the old daemon still runs, and clients of both versions may share it for a while. So the newer one
// wins: a client lets an older daemon end and starts its own, and uses a newer one as it is.
#ifndef OCPWATCH_V1_SUCCESSION_H_
#define OCPWATCH_V1_SUCCESSION_H_

#include <charconv>
#include <string_view>

namespace ocpwatch {

struct Release {
  std::string_view version;
  std::string_view build_id;
};

// True if `left` is a later version than `right`: by its numbers, "0.10.0" after "0.9.1".
inline bool IsLater(std::string_view left, std::string_view right) {
  const auto next = [](std::string_view* version) {
    int number = 0;
    const char* end = version->data() + version->size();
    const char* stopped = std::from_chars(version->data(), end, number).ptr;
    version->remove_prefix(static_cast<size_t>(stopped - version->data()));
    if (!version->empty()) version->remove_prefix(1);
    return number;
  };
  while (!left.empty() || !right.empty()) {
    const int ours = next(&left);
    const int theirs = next(&right);
    if (ours != theirs) return ours > theirs;
  }
  return false;
}

inline bool MakesWay(const Release& daemon, const Release& client) {
  if (IsLater(client.version, daemon.version)) return true;
  // Two builds of one version: whoever has just built this client wants its own daemon.
  return client.version == daemon.version && client.build_id != daemon.build_id;
}

}  // namespace ocpwatch

#endif  // OCPWATCH_V1_SUCCESSION_H_
