#include "daemon/build/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "daemon/build/file_state.h"
#include "daemon/build/process_state.h"
#include "daemon/ingest/unique_fd.h"
#include "daemon/session/path.h"
#include "daemon/store/digest.h"

namespace ocpwatch {

namespace {

using Kind = OpenDescriptor::Kind;

// Of a file without a name, a here-document say, that is read to know it: 0.15 s.
constexpr off_t kMaxNameless = off_t{256} << 20;

Kind KindOf(mode_t mode, dev_t rdev) {
  if (S_ISREG(mode)) return Kind::kFile;
  if (S_ISDIR(mode)) return Kind::kDirectory;
  if (S_ISFIFO(mode)) return Kind::kPipe;
  if (S_ISSOCK(mode)) return Kind::kSocket;
  if (S_ISCHR(mode)) {
    const unsigned device = major(rdev);
    if (device == 1 && minor(rdev) == 3) return Kind::kNull;
    // Consoles, serial lines and pseudo terminals: Documentation/admin-guide/devices.txt.
    if (device == 4 || device == 5 || (device >= 136 && device <= 143)) return Kind::kTerminal;
  }
  return Kind::kOther;
}

const char* NameOf(Kind kind) {
  switch (kind) {
    case Kind::kFile:
      return "file";
    case Kind::kDirectory:
      return "directory";
    case Kind::kPipe:
      return "pipe";
    case Kind::kTerminal:
      return "terminal";
    case Kind::kNull:
      return "null";
    case Kind::kSocket:
      return "socket";
    case Kind::kOther:
      return "other";
  }
  return "other";
}

bool Fill(const std::string& link, OpenDescriptor* descriptor) {
  struct stat status;
  if (stat(link.c_str(), &status) != 0) return false;
  descriptor->kind = KindOf(status.st_mode, status.st_rdev);
  descriptor->dev = status.st_dev;
  descriptor->ino = descriptor->kind == Kind::kTerminal ? status.st_rdev : status.st_ino;
  if (descriptor->kind == Kind::kFile || descriptor->kind == Kind::kDirectory) {
    char target[PATH_MAX];
    const ssize_t size = readlink(link.c_str(), target, sizeof target);
    if (size > 0) descriptor->path.assign(target, static_cast<size_t>(size));
  }
  return true;
}

// A pipe that nobody can write to any more, and from which everything has been read.
bool HasEnded(const std::string& link) {
  const UniqueFd pipe(open(link.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!pipe.valid()) return false;
  pollfd poll_fd{.fd = pipe.get(), .events = POLLIN, .revents = 0};
  return poll(&poll_fd, 1, 0) == 1 && poll_fd.revents == POLLHUP;
}

// "pos:\t0\nflags:\t0100001\n": see proc(5).
void ReadInfo(int32_t pid, OpenDescriptor* descriptor) {
  const std::string text = ReadProc(absl::StrCat("/proc/", pid, "/fdinfo/", descriptor->fd));
  descriptor->offset = NumberAfter(text, "pos:", 10).value_or(0);
  descriptor->flags = static_cast<uint32_t>(NumberAfter(text, "flags:", 8).value_or(0));
  descriptor->close_on_exec = (descriptor->flags & O_CLOEXEC) != 0;
}

void Drop(std::vector<OpenDescriptor>* open, int32_t fd) {
  std::erase_if(*open, [fd](const OpenDescriptor& descriptor) { return descriptor.fd == fd; });
}

void SortByNumber(std::vector<OpenDescriptor>* open) {
  std::sort(open->begin(), open->end(), [](const auto& left, const auto& right) { return left.fd < right.fd; });
}

}  // namespace

OpenDescriptor FromStat(const v1::FileStat& stat) {
  OpenDescriptor descriptor;
  descriptor.kind = KindOf(stat.mode(), stat.rdev());
  descriptor.dev = stat.dev();
  descriptor.ino = descriptor.kind == Kind::kTerminal ? stat.rdev() : stat.ino();
  return descriptor;
}

std::vector<OpenDescriptor> DescriptorsOf(int32_t pid) {
  std::vector<OpenDescriptor> open;
  const std::string folder = absl::StrCat("/proc/", pid, "/fd");
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(folder.c_str()), closedir);
  if (directory == nullptr) return open;
  while (const dirent* entry = readdir(directory.get())) {
    if (entry->d_name[0] == '.') continue;
    OpenDescriptor descriptor;
    descriptor.fd = descriptor.source_fd = atoi(entry->d_name);
    if (!Fill(absl::StrCat(folder, "/", entry->d_name), &descriptor)) continue;
    ReadInfo(pid, &descriptor);
    open.push_back(std::move(descriptor));
  }
  SortByNumber(&open);
  return open;
}

std::vector<OpenDescriptor> AfterExec(int32_t pid, std::vector<OpenDescriptor> open) {
  std::erase_if(open, [](const OpenDescriptor& descriptor) { return descriptor.close_on_exec; });
  for (OpenDescriptor& descriptor : open) {
    if (descriptor.fd == STDIN_FILENO && descriptor.kind == Kind::kPipe && descriptor.source_fd >= 0 &&
        HasEnded(absl::StrCat("/proc/", pid, "/fd/", descriptor.source_fd))) {
      descriptor.kind = Kind::kNull;
    }
  }
  return open;
}

std::vector<OpenDescriptor> AfterActions(std::vector<OpenDescriptor> open, const std::vector<SpawnAction>& actions,
                                         const std::string& cwd) {
  std::string base = cwd;
  for (const SpawnAction& action : actions) {
    switch (action.kind) {
      case v1::FILE_ACTION_CLOSE:
        Drop(&open, action.fd);
        break;
      case v1::FILE_ACTION_CLOSEFROM:
        std::erase_if(open, [&](const OpenDescriptor& descriptor) { return descriptor.fd >= action.fd; });
        break;
      case v1::FILE_ACTION_DUP2: {
        const auto source = std::find_if(open.begin(), open.end(), [&](const auto& d) { return d.fd == action.fd; });
        if (source == open.end()) break;
        OpenDescriptor copy = *source;
        copy.fd = action.fd2;
        copy.close_on_exec = false;  // Also where both are the same number.
        Drop(&open, action.fd2);
        open.push_back(std::move(copy));
        break;
      }
      case v1::FILE_ACTION_OPEN: {
        OpenDescriptor opened;
        opened.fd = action.fd;
        opened.flags = action.flags;
        opened.close_on_exec = (action.flags & O_CLOEXEC) != 0;
        std::string path;
        if (!ResolvePath("/", base, action.path, &path)) break;
        if (!Fill(path, &opened)) opened.kind = Kind::kFile;  // It will be made.
        if (opened.kind == Kind::kFile) opened.path = path;
        Drop(&open, action.fd);
        open.push_back(std::move(opened));
        break;
      }
      case v1::FILE_ACTION_CHDIR: {
        std::string path;
        if (ResolvePath("/", base, action.path, &path)) base = path;
        break;
      }
      default:
        break;
    }
  }
  SortByNumber(&open);
  return open;
}

bool NameNameless(int32_t pid, std::vector<OpenDescriptor>* open) {
  for (OpenDescriptor& descriptor : *open) {
    if (descriptor.kind != Kind::kFile || !descriptor.readable() || descriptor.source_fd < 0) continue;
    struct stat status;
    if (stat(descriptor.path.c_str(), &status) == 0 && status.st_ino == descriptor.ino &&
        status.st_dev == descriptor.dev) {
      continue;
    }
    const std::string link = absl::StrCat("/proc/", pid, "/fd/", descriptor.source_fd);
    if (stat(link.c_str(), &status) != 0 || status.st_size > kMaxNameless) return false;
    const UniqueFd file(::open(link.c_str(), O_RDONLY | O_CLOEXEC));
    const absl::StatusOr<Digest> digest = DigestOfFile(file.get());
    if (!digest.ok()) return false;
    descriptor.path = absl::StrCat("sha256:", Hex(*digest));
  }
  return true;
}

std::optional<DescriptorName> DescriptorNamed(std::string_view name, int32_t pid) {
  constexpr std::string_view kStandard[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
  for (int32_t fd = 0; fd < 3; ++fd) {
    if (name == kStandard[fd]) return DescriptorName{fd, true};
  }
  absl::string_view path(name.data(), name.size());
  bool own = absl::ConsumePrefix(&path, "/dev/fd/") || absl::ConsumePrefix(&path, "/proc/self/fd/") ||
             absl::ConsumePrefix(&path, "/proc/thread-self/fd/");
  if (!own) {
    if (!absl::ConsumePrefix(&path, "/proc/")) return std::nullopt;
    const size_t slash = path.find('/');
    int32_t owner = 0;
    if (slash == path.npos || !absl::SimpleAtoi(path.substr(0, slash), &owner)) return std::nullopt;
    path.remove_prefix(slash);
    if (!absl::ConsumePrefix(&path, "/fd/")) return std::nullopt;
    own = owner == pid;
  }
  DescriptorName found{-1, own};
  return absl::SimpleAtoi(path, &found.fd) ? std::optional(found) : std::nullopt;
}

void Describe(const std::vector<OpenDescriptor>& open, v1::Fingerprint* key) {
  for (const OpenDescriptor& descriptor : open) {
    const auto same = std::find_if(open.begin(), open.end(), [&](const auto& d) { return d.SameAs(descriptor); });
    const bool has_twin = same->fd < descriptor.fd && descriptor.kind != Kind::kNull;
    const bool stands_alone = descriptor.kind == Kind::kFile || descriptor.kind == Kind::kDirectory;
    if (descriptor.fd > STDERR_FILENO && !stands_alone && !(has_twin && same->fd <= STDERR_FILENO)) continue;
    v1::Fingerprint::Inherited& inherited = *key->add_inherited();
    inherited.set_fd(descriptor.fd);
    inherited.set_kind(descriptor.shared ? "shared file" : NameOf(descriptor.kind));
    // Where words go makes no difference to whoever can only write them.
    const bool read = descriptor.readable() || descriptor.kind == Kind::kDirectory;
    if (read) inherited.set_path(descriptor.path);
    if (read && descriptor.kind == Kind::kFile) inherited.set_offset(descriptor.offset);
    // Whether /dev/null as an input could be written to, too, is chance.
    const bool nothing = descriptor.fd == STDIN_FILENO && descriptor.kind == Kind::kNull;
    if (!nothing) inherited.set_flags(descriptor.flags & (O_ACCMODE | O_APPEND));
    if (has_twin) inherited.set_same_as(same->fd + 1);
  }
}

}  // namespace ocpwatch
