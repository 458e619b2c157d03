#include "daemon/build/restore.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "daemon/build/file_state.h"

namespace ocpwatch {

namespace {

absl::Status Failed(const char* what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

// One effect on its way: what has been laid down for it.
struct Staged {
  const v1::Effect* effect = nullptr;
  bool renewed = false;
  std::string temporary;  // Empty: nothing has to be written.
};

class Restorer {
 public:
  Restorer(const std::vector<bool>& renewed, Store* store, bool* changed)
      : renewed_(renewed), store_(*store), changed_(*changed), names_(store->staged_names()) {}

  absl::Status Run(const v1::ActionRecord& record) {
    const absl::Cleanup sweep = [this] {
      for (const Staged& staged : staged_) {
        if (!staged.temporary.empty()) unlink(staged.temporary.c_str());
      }
    };
    for (const v1::Effect& effect : record.effects()) {
      if (absl::Status status = Check(effect); !status.ok()) return status;
    }
    for (const v1::Effect& effect : record.effects()) {
      if (absl::Status status = Stage(effect); !status.ok()) return status;
      if (effect.times_from().empty()) continue;
      const FileState source = StateOf(effect.times_from(), /*nofollow=*/true);
      if (source.type == v1::FILE_REGULAR) moved_times_[effect.path()] = source.stamp.mtime_ns;
    }
    for (Staged& staged : staged_) {
      if (absl::Status status = Place(&staged); !status.ok()) return status;
    }
    // The innermost first: the way to it may be closed after that.
    for (auto directory = modes_.rbegin(); directory != modes_.rend(); ++directory) {
      if (chmod((*directory)->path().c_str(), (*directory)->mode()) != 0) {
        return Failed("set the mode of", (*directory)->path());
      }
    }
    return absl::OkStatus();
  }

 private:
  // Whether the effect can follow those before it, as far as names and types say.
  absl::Status Check(const v1::Effect& effect) {
    const std::string& path = effect.path();
    const FileState now = StateOf(path, /*nofollow=*/true);
    if (now.error != 0 && now.error != ENOTDIR) {
      errno = now.error;
      return Failed("look at", path);
    }
    if (effect.type() != v1::FILE_ABSENT) {
      const std::string directory = DirectoryOf(path);
      const auto made = becomes_.find(directory);
      const v1::FileType parent = made != becomes_.end() ? made->second : StateOf(directory, /*nofollow=*/false).type;
      if (parent != v1::FILE_DIRECTORY && parent != v1::FILE_SYMLINK) {
        return absl::FailedPreconditionError(absl::StrCat(directory, " is no directory"));
      }
    }
    if (now.type == v1::FILE_DIRECTORY && effect.type() != v1::FILE_DIRECTORY) {
      for (const ListedName& entry : List(path)) {
        const auto gone = becomes_.find(absl::StrCat(path, "/", entry.name));
        if (gone != becomes_.end() && gone->second == v1::FILE_ABSENT) continue;
        return absl::FailedPreconditionError(absl::StrCat(path, " still has ", entry.name, " in it"));
      }
    }
    becomes_[path] = effect.type();
    return absl::OkStatus();
  }

  bool IsInPlace(const v1::Effect& effect, const FileState& state) {
    if (state.type != effect.type()) return false;
    if (effect.type() == v1::FILE_SYMLINK) return state.target == effect.target();
    if (effect.type() != v1::FILE_REGULAR) return true;
    if (state.stamp.size != effect.digest().size() || !effect.link_to().empty()) return false;
    const absl::StatusOr<Digest> now = store_.DigestOfPath(effect.path(), state.stamp, /*keep=*/false);
    return now.ok() && *now == FromProto(effect.digest());
  }

  // Beside its place; where the directory is to come yet, or to be opened, in the one above.
  absl::StatusOr<std::string> TemporaryFor(const std::string& path) {
    std::string directory = DirectoryOf(path);
    while (directory != "/") {
      const auto made = becomes_.find(directory);
      const bool stays = made == becomes_.end() || made->second == StateOf(directory, /*nofollow=*/true).type;
      if (stays && StateOf(directory, /*nofollow=*/false).type == v1::FILE_DIRECTORY &&
          access(directory.c_str(), W_OK) == 0) {
        break;
      }
      directory = DirectoryOf(directory);
    }
    return names_.NameIn(directory);
  }

  absl::Status Stage(const v1::Effect& effect) {
    Staged staged{&effect, renewed_[staged_.size()], ""};
    if (effect.type() == v1::FILE_REGULAR && effect.link_to().empty() &&
        !IsInPlace(effect, StateOf(effect.path(), /*nofollow=*/true))) {
      absl::StatusOr<std::string> temporary = TemporaryFor(effect.path());
      if (!temporary.ok()) return temporary.status();
      staged.temporary = *std::move(temporary);
      if (absl::Status status = store_.CopyBlob(FromProto(effect.digest()), staged.temporary, effect.mode());
          !status.ok()) {
        return status;
      }
    }
    staged_.push_back(std::move(staged));
    return absl::OkStatus();
  }

  absl::Status Place(Staged* staged) {
    const v1::Effect& effect = *staged->effect;
    const FileState before = StateOf(effect.path(), /*nofollow=*/true);
    if (before.type == v1::FILE_DIRECTORY && effect.type() != v1::FILE_DIRECTORY) {
      changed_ = true;
      if (rmdir(effect.path().c_str()) != 0) return Failed("remove", effect.path());
    }
    switch (effect.type()) {
      case v1::FILE_ABSENT:
        if (before.type == v1::FILE_ABSENT || before.type == v1::FILE_DIRECTORY) return absl::OkStatus();
        changed_ = true;
        if (unlink(effect.path().c_str()) != 0 && errno != ENOENT) return Failed("remove", effect.path());
        return absl::OkStatus();
      case v1::FILE_DIRECTORY:
        return PlaceDirectory(effect, before);
      case v1::FILE_SYMLINK:
        return PlaceByRename(effect, before,
                             [&](const char* temporary) { return symlink(effect.target().c_str(), temporary); });
      case v1::FILE_REGULAR:
        return PlaceFile(effect, before, staged);
      default:
        return PlaceByRename(effect, before, [&](const char* temporary) {
          const int made = mkfifo(temporary, effect.mode());
          return made == 0 ? chmod(temporary, effect.mode()) : made;  // The umask is the daemon's own.
        });
    }
  }

  // Open to us until all that comes into it is there.
  absl::Status PlaceDirectory(const v1::Effect& effect, const FileState& before) {
    const char* const path = effect.path().c_str();
    const uint32_t open = effect.mode() | S_IRWXU;
    if (before.type == v1::FILE_DIRECTORY) {
      if (!effect.mode_set() || ((before.stamp.mode & 07777) == effect.mode() && effect.mode() == open)) {
        return absl::OkStatus();
      }
      if (chmod(path, open) != 0) return Failed("set the mode of", effect.path());
    } else {
      changed_ = true;
      if (before.type != v1::FILE_ABSENT && unlink(path) != 0) return Failed("remove", effect.path());
      if (mkdir(path, open) != 0) return Failed("make the directory", effect.path());
    }
    modes_.push_back(&effect);
    return absl::OkStatus();
  }

  template <typename Make>
  absl::Status PlaceByRename(const v1::Effect& effect, const FileState& before, Make make) {
    if (effect.link_to().empty() && IsInPlace(effect, before)) return absl::OkStatus();
    const absl::StatusOr<std::string> temporary = names_.NameIn(DirectoryOf(effect.path()));
    if (!temporary.ok()) return temporary.status();
    if (make(temporary->c_str()) != 0) return Failed("make", effect.path());
    changed_ = true;
    if (rename(temporary->c_str(), effect.path().c_str()) != 0) {
      const int error = errno;
      unlink(temporary->c_str());
      errno = error;
      return Failed("put in place", effect.path());
    }
    return absl::OkStatus();
  }

  absl::Status PlaceFile(const v1::Effect& effect, const FileState& before, Staged* staged) {
    const std::string& path = effect.path();
    if (!effect.link_to().empty()) {
      const FileState other = StateOf(effect.link_to(), /*nofollow=*/true);
      if (other.type == v1::FILE_ABSENT) return Failed("link to", effect.link_to());
      const bool linked =
          before.type == v1::FILE_REGULAR && before.stamp.ino == other.stamp.ino && before.stamp.dev == other.stamp.dev;
      if (linked) return absl::OkStatus();  // rename would do nothing and leave the temporary name behind.
      return PlaceByRename(effect, before,
                           [&](const char* temporary) { return link(effect.link_to().c_str(), temporary); });
    }
    const bool written = !staged->temporary.empty();
    const bool keeps_mode = !effect.mode_set() && before.type == v1::FILE_REGULAR;
    const uint32_t mode = keeps_mode ? before.stamp.mode & 07777 : effect.mode();
    bool has_mode = before.type == v1::FILE_REGULAR && (before.stamp.mode & 07777) == mode;
    if (written) {
      changed_ = true;
      if (effect.in_place() && before.type == v1::FILE_REGULAR && before.links > 1) {
        if (absl::Status status = WriteInto(staged->temporary, path); !status.ok()) return status;
      } else {
        if (chmod(staged->temporary.c_str(), mode) != 0) return Failed("set the mode of", path);
        if (rename(staged->temporary.c_str(), path.c_str()) != 0) return Failed("put in place", path);
        staged->temporary.clear();
        has_mode = true;
      }
    }
    if (!has_mode && chmod(path.c_str(), mode) != 0) return Failed("set the mode of", path);
    const auto moved = moved_times_.find(path);
    if (effect.times_set()) {
      const int64_t time = moved != moved_times_.end() ? moved->second : effect.mtime_ns();
      const timespec times[2] = {{0, UTIME_OMIT}, {time / 1'000'000'000, time % 1'000'000'000}};
      // What was moved before has its time already.
      const bool has_it = moved == moved_times_.end() && !effect.times_from().empty() && !written;
      if (!has_it && utimensat(AT_FDCWD, path.c_str(), times, 0) != 0) return Failed("set the time of", path);
    } else if (staged->renewed && (written || !effect.keeps_times())) {
      // Also of what was laid down before: who is placed later is not older.
      if (utimensat(AT_FDCWD, path.c_str(), nullptr, 0) != 0) return Failed("set the time of", path);
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

  const std::vector<bool>& renewed_;
  Store& store_;
  bool& changed_;
  StagedNames::Batch names_;
  absl::flat_hash_map<std::string, v1::FileType> becomes_;  // Each path's effect.
  absl::flat_hash_map<std::string, int64_t>
      moved_times_;  // Of what is moved, by where it goes: it takes its time along.
  std::vector<Staged> staged_;
  std::vector<const v1::Effect*> modes_;  // Of directories, to be set when all is in place.
};

}  // namespace

absl::Status Restore(const v1::ActionRecord& record, const std::vector<bool>& renewed, Store* store, bool* changed) {
  return Restorer(renewed, store, changed).Run(record);
}

}  // namespace ocpwatch
