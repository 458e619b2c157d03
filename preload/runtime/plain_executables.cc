#include "preload/runtime/plain_executables.h"

#include <atomic>
#include <cstdint>

#include "preload/runtime/syscalls.h"

namespace ocpwatch {
namespace {

// make and a compiler's driver go back and forth between two or three.
constexpr unsigned kKnown = 4;
constexpr int64_t kSettledSeconds = 1;
// A set-user-ID bit counts for some callers and not for others.
constexpr mode_t kGivesRights = S_ISUID | S_ISGID;

struct Known {
  dev_t device = 0;
  ino_t inode = 0;
  timespec changed = {};
  uid_t user = 0;
};

// Of the thread, for a vfork child has its parent's; `in_use` keeps out a signal handler that executes something while
// its own thread is at it.
struct Table {
  bool filled;
  bool in_use;
  Known files[kKnown];
};
constinit thread_local Table table = {};

class Use {
 public:
  Use() : entered_(!table.in_use) { Set(true); }
  ~Use() { Set(false); }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  bool entered() const { return entered_; }

 private:
  void Set(bool in_use) const {
    if (entered_) table.in_use = in_use;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  bool entered_;
};

Known& SlotOf(const struct stat& file) { return table.files[file.st_ino % kKnown]; }

uid_t User() { return static_cast<uid_t>(RawSyscall(SYS_geteuid)); }

}  // namespace

bool IsKnownToBePlain(int dirfd, const char* path, int flags) {
  if (!table.filled) return false;  // Most execute one program only.
  struct stat file;
  if (Failed(RawSyscall(SYS_newfstatat, dirfd, AsWord(path), AsWord(&file), flags))) return false;
  const Use use;
  if (!use.entered()) return false;
  const Known& known = SlotOf(file);
  return known.inode == file.st_ino && known.device == file.st_dev && known.changed.tv_sec == file.st_ctim.tv_sec &&
         known.changed.tv_nsec == file.st_ctim.tv_nsec && known.user == User();
}

void RememberAsPlain(const struct stat& file) {
  timespec now;
  if ((file.st_mode & kGivesRights) != 0 || Failed(RawSyscall(SYS_clock_gettime, CLOCK_REALTIME, AsWord(&now))) ||
      now.tv_sec - file.st_ctim.tv_sec <= kSettledSeconds) {
    return;
  }
  const Use use;
  if (!use.entered()) return;
  SlotOf(file) = {file.st_dev, file.st_ino, file.st_ctim, User()};
  table.filled = true;
}

}  // namespace ocpwatch
