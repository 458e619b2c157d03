#include "daemon/build/restore.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "daemon/build/file_state.h"

namespace ocpwatch {

namespace {

std::atomic<uint64_t> next_temporary{1};

std::string TemporaryBeside(const std::string& path) {
  const size_t slash = path.rfind('/');
  return absl::StrCat(path.substr(0, slash + 1), ".ocp-watch-", getpid(), "-", next_temporary++);
}

absl::Status Failed(const char* what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

// One effect on its way: what has been laid beside its place.
struct Staged {
  const v1::Effect* effect = nullptr;
  FileState before;
  std::string temporary;  // Empty: nothing has to be written.
};

class Restorer {
 public:
  Restorer(Untouched untouched, Store* store, bool* changed)
      : untouched_(untouched), store_(*store), changed_(*changed) {}

  absl::Status Run(const v1::ActionRecord& record) {
    const absl::Cleanup sweep = [this] {
      for (const Staged& staged : staged_) {
        if (!staged.temporary.empty()) unlink(staged.temporary.c_str());
      }
    };
    // Directories come first in the record where files are made in them, so those must be there to lay things beside.
    for (const v1::Effect& effect : record.effects()) {
      if (absl::Status status = Stage(effect); !status.ok()) return status;
    }
    for (Staged& staged : staged_) {
      if (absl::Status status = Place(&staged); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  bool IsInPlace(const v1::Effect& effect, const FileState& state) {
    if (state.type != effect.type()) return false;
    if (effect.type() == v1::FILE_SYMLINK) return state.target == effect.target();
    if (effect.type() != v1::FILE_REGULAR) return true;
    if (state.stamp.size != effect.digest().size() || !effect.link_to().empty()) return false;
    const absl::StatusOr<Digest> now = store_.DigestOfPath(effect.path(), state.stamp, /*keep=*/false);
    return now.ok() && *now == FromProto(effect.digest());
  }

  absl::Status Stage(const v1::Effect& effect) {
    Staged staged{&effect, StateOf(effect.path(), /*nofollow=*/true), ""};
    if (staged.before.error != 0 && staged.before.error != ENOTDIR) {
      errno = staged.before.error;
      return Failed("look at", effect.path());
    }
    if (effect.type() == v1::FILE_DIRECTORY && staged.before.type == v1::FILE_ABSENT) {
      if (mkdir(effect.path().c_str(), effect.mode() | 0700) != 0) return Failed("make the directory", effect.path());
      changed_ = true;
    }
    if (effect.type() == v1::FILE_REGULAR && effect.link_to().empty() && !IsInPlace(effect, staged.before)) {
      staged.temporary = TemporaryBeside(effect.path());
      if (absl::Status status = store_.CopyBlob(FromProto(effect.digest()), staged.temporary, effect.mode());
          !status.ok()) {
        staged.temporary.clear();
        return status;
      }
    }
    staged_.push_back(std::move(staged));
    return absl::OkStatus();
  }

  absl::Status Place(Staged* staged) {
    const v1::Effect& effect = *staged->effect;
    const char* const path = effect.path().c_str();
    const v1::FileType before = staged->before.type;
    switch (effect.type()) {
      case v1::FILE_ABSENT:
        if (before == v1::FILE_ABSENT) return absl::OkStatus();
        changed_ = true;
        if ((before == v1::FILE_DIRECTORY ? rmdir(path) : unlink(path)) != 0 && errno != ENOENT) {
          return Failed("remove", effect.path());
        }
        return absl::OkStatus();
      case v1::FILE_DIRECTORY:
        if (before != v1::FILE_ABSENT && before != v1::FILE_DIRECTORY) return NotPossible(effect);
        if ((effect.mode_set() || before == v1::FILE_ABSENT) && chmod(path, effect.mode()) != 0) {
          return Failed("set the mode of", effect.path());
        }
        return absl::OkStatus();
      case v1::FILE_SYMLINK:
        return PlaceByRename(effect, *staged,
                             [&](const char* temporary) { return symlink(effect.target().c_str(), temporary); });
      case v1::FILE_REGULAR:
        return PlaceFile(effect, staged);
      default:
        return PlaceByRename(effect, *staged, [&](const char* temporary) {
          const int made = mkfifo(temporary, effect.mode());
          return made == 0 ? chmod(temporary, effect.mode()) : made;  // The umask is the daemon's own.
        });
    }
  }

  template <typename Make>
  absl::Status PlaceByRename(const v1::Effect& effect, const Staged& staged, Make make) {
    if (effect.link_to().empty() && IsInPlace(effect, staged.before)) return absl::OkStatus();
    if (staged.before.type == v1::FILE_DIRECTORY) return NotPossible(effect);
    const std::string temporary = TemporaryBeside(effect.path());
    if (make(temporary.c_str()) != 0) return Failed("make", effect.path());
    changed_ = true;
    if (rename(temporary.c_str(), effect.path().c_str()) != 0) {
      const int error = errno;
      unlink(temporary.c_str());
      errno = error;
      return Failed("put in place", effect.path());
    }
    return absl::OkStatus();
  }

  absl::Status PlaceFile(const v1::Effect& effect, Staged* staged) {
    const std::string& path = effect.path();
    if (!effect.link_to().empty()) {
      struct stat ours;
      struct stat other;
      if (lstat(effect.link_to().c_str(), &other) != 0) return Failed("link to", effect.link_to());
      const bool linked = lstat(path.c_str(), &ours) == 0 && ours.st_ino == other.st_ino && ours.st_dev == other.st_dev;
      if (linked) return absl::OkStatus();  // rename would do nothing and leave the temporary name behind.
      return PlaceByRename(effect, *staged,
                           [&](const char* temporary) { return link(effect.link_to().c_str(), temporary); });
    }
    if (staged->before.type == v1::FILE_DIRECTORY) return NotPossible(effect);
    const bool written = !staged->temporary.empty();
    const bool keeps_mode = !effect.mode_set() && staged->before.type == v1::FILE_REGULAR;
    const uint32_t mode = keeps_mode ? staged->before.stamp.mode & 07777 : effect.mode();
    if (written) {
      changed_ = true;
      if (effect.in_place() && staged->before.type == v1::FILE_REGULAR && staged->before.links > 1) {
        if (absl::Status status = WriteInto(staged->temporary, path); !status.ok()) return status;
      } else {
        if (chmod(staged->temporary.c_str(), mode) != 0) return Failed("set the mode of", path);
        if (rename(staged->temporary.c_str(), path.c_str()) != 0) return Failed("put in place", path);
        staged->temporary.clear();
      }
    } else if ((staged->before.stamp.mode & 07777) != mode && chmod(path.c_str(), mode) != 0) {
      return Failed("set the mode of", path);
    }
    if (effect.times_set()) {
      const timespec times[2] = {{0, UTIME_OMIT},
                                 {effect.mtime_ns() / 1'000'000'000, effect.mtime_ns() % 1'000'000'000}};
      if (utimensat(AT_FDCWD, path.c_str(), times, 0) != 0) return Failed("set the time of", path);
    } else if (!written && untouched_ == Untouched::kNewTimes && utimensat(AT_FDCWD, path.c_str(), nullptr, 0) != 0) {
      return Failed("set the time of", path);
    }
    struct stat status;
    if (lstat(path.c_str(), &status) == 0) store_.NoteDigest(path, FileStamp::Of(status), FromProto(effect.digest()));
    return absl::OkStatus();
  }

  // The file has other names, which see what is written into it.
  static absl::Status WriteInto(const std::string& from, const std::string& path) {
    const int source = open(from.c_str(), O_RDONLY | O_CLOEXEC);
    if (source < 0) return Failed("read", from);
    const absl::Cleanup close_source = [source] { close(source); };
    const int target = open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
    if (target < 0) return Failed("write", path);
    const absl::Cleanup close_target = [target] { close(target); };
    for (;;) {
      const ssize_t moved = copy_file_range(source, nullptr, target, nullptr, size_t{1} << 30, 0);
      if (moved == 0) return absl::OkStatus();
      if (moved < 0) return Failed("write", path);
    }
  }

  static absl::Status NotPossible(const v1::Effect& effect) {
    return absl::FailedPreconditionError(absl::StrCat(effect.path(), " is of another type than it should become"));
  }

  const Untouched untouched_;
  Store& store_;
  bool& changed_;
  std::vector<Staged> staged_;
};

}  // namespace

absl::Status Restore(const v1::ActionRecord& record, Untouched untouched, Store* store, bool* changed) {
  return Restorer(untouched, store, changed).Run(record);
}

}  // namespace ocpwatch
