// Where the outputs of a build session's commands lead in the end: the user's terminal, a pipe to ninja, `a | b`, a
// socket of sshd's or the journal's.
//
// It is written to without blocking: what a target does not take waits in memory. A pipe or terminal is opened anew, so
// that O_NONBLOCK is ours alone. Where that cannot be, because it is a socket or belongs to another user (`su`, a
// container's supervisor), the description is borrowed, whose flags are not ours to change: a socket takes the wish
// with each send, a pipe gets no more than poll(2) promises room for, a terminal little at a time.
//
// Not synchronised.
#ifndef OCPWATCH_DAEMON_BUILD_OUTSIDE_TARGET_H_
#define OCPWATCH_DAEMON_BUILD_OUTSIDE_TARGET_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

// Which pipe or terminal a descriptor leads to. A terminal is its device, whatever the name by which it was opened.
struct Place {
  dev_t dev = 0;
  ino_t ino = 0;
  dev_t device = 0;

  // FAILED_PRECONDITION: `path` is no pipe, no socket, no file and no device.
  static absl::StatusOr<Place> Of(const std::string& path);
  static absl::StatusOr<Place> Of(int fd);
  friend bool operator==(const Place&, const Place&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Place& place) {
    return H::combine(std::move(h), place.dev, place.ino, place.device);
  }
};

class OutsideTarget {
 public:
  // Descriptor `fd` of the process `pid`. A pipe or terminal is opened anew, if we may; else, and of a file, which
  // knows where to write, the description itself is borrowed. FAILED_PRECONDITION: none of these, or nobody reads
  // there.
  static absl::StatusOr<std::unique_ptr<OutsideTarget>> Open(int32_t pid, int32_t fd, const Place& place);
  // The description itself (by pidfd_getfd).
  static absl::StatusOr<std::unique_ptr<OutsideTarget>> Borrow(int32_t pid, int32_t fd, const Place& place);

  const Place& place() const { return place_; }
  int fd() const { return fd_.get(); }
  bool terminal() const { return terminal_; }
  // Nobody reads any more: everything is dropped.
  bool dead() const { return dead_; }
  // What waits.
  size_t pending() const { return pending_.size() - sent_; }

  // How much it would take now; of a terminal that is not known. 0: it has to be waited for.
  size_t Room() const;
  void Write(std::string_view bytes);
  // Hands on what waits, as far as it is taken.
  void Flush();

 private:
  enum class Way { kAtOnce, kInParts, kSocket };

  OutsideTarget(const Place& place, UniqueFd fd, Way way, bool terminal)
      : place_(place), fd_(std::move(fd)), way_(way), terminal_(terminal) {}
  static absl::StatusOr<std::unique_ptr<OutsideTarget>> Make(const Place& place, UniqueFd fd, Way way);
  // How much was taken.
  size_t Hand(std::string_view bytes);
  // As write(2), by its way.
  ssize_t WriteSome(std::string_view bytes);

  const Place place_;
  const UniqueFd fd_;
  const Way way_;
  const bool terminal_;
  bool dead_ = false;
  std::string pending_;
  size_t sent_ = 0;  // Of pending_.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_OUTSIDE_TARGET_H_
