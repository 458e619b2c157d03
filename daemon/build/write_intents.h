// What the build sessions of one daemon are writing, path by path, so that each of them learns what another did to a
// file while a command of its own used it. Such a command is not kept: what it saw, or left, may be the other's in
// part.
//
// A session tells of a path before the change is made and looks for others' after it has taken what it wants to keep:
// so whatever was changed in between is known by then.
//
// Thread-safe; its mutex is the innermost.
#ifndef OCPWATCH_DAEMON_BUILD_WRITE_INTENTS_H_
#define OCPWATCH_DAEMON_BUILD_WRITE_INTENTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace ocpwatch {

class WriteIntents {
 public:
  using Session = uint64_t;
  using Moment = uint64_t;  // Counts the intents of all sessions.

  // From its first command to its last.
  Session Join();
  void Leave(Session session);

  Moment Now() const;
  // `session` is about to change `path`, and is at work on it until as many calls of End.
  void Begin(Session session, const std::string& path);
  void End(Session session, const std::string& path);

  // False: no other session has anything to do with any path. For free.
  bool AnyOthers(Session session) const;
  // Another session is at work on `path`, or has been since `since`.
  bool ByOthers(Session session, const std::string& path, Moment since) const;

  // Paths that are remembered; bounded by what the sessions write that run at the same time.
  size_t size() const;

 private:
  struct Intent {
    Session session = 0;
    Moment last = 0;  // Of the last Begin or End.
    uint32_t open = 0;
  };

  mutable absl::Mutex mutex_;
  Moment now_ ABSL_GUARDED_BY(mutex_) = 0;
  Session next_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<Session, Moment> joined_ ABSL_GUARDED_BY(mutex_);               // Those that have not left.
  absl::flat_hash_map<Session, uint64_t> counts_ ABSL_GUARDED_BY(mutex_);  // How many intents are of each.
  absl::flat_hash_map<std::string, std::vector<Intent>> intents_ ABSL_GUARDED_BY(mutex_);
  uint64_t total_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_WRITE_INTENTS_H_
