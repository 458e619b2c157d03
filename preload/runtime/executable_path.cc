#include "preload/runtime/executable_path.h"

#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"

namespace ocpwatch {
namespace {

constexpr int kMaxLinks = 40;  // The kernel's own limit.

bool SameText(const char* a, const char* b) {
  while (*a != 0 && *a == *b) {
    ++a;
    ++b;
  }
  return *a == *b;
}

// A script's path stands in argv, behind the interpreter and perhaps one argument.
bool MayBeScript(const char* requested, const char* const* argv) {
  for (int i = 0; i < 3 && argv[i] != nullptr; ++i) {
    if (i > 0 && SameText(argv[i], requested)) return true;
  }
  return false;
}

size_t ReadExe(char* path, size_t room) {
  const long size =
      RawSyscall(SYS_readlinkat, AT_FDCWD, AsWord("/proc/self/exe"), AsWord(path), static_cast<long>(room));
  // A full buffer may hold only a part.
  return Failed(size) || static_cast<size_t>(size) == room ? 0 : static_cast<size_t>(size);
}

// Follows the symbolic links in `path`, which is relative to `base`; 0 if it is longer than usual or leads nowhere.
size_t Canonical(const char* base, const char* path, char* result, size_t room) {
  char rest[2 * kUsualPath];  // What is still to be walked.
  size_t begin = sizeof rest - 1;
  rest[begin] = 0;
  size_t length = LengthOf(path, kUsualPath);
  if (length >= kUsualPath) return 0;
  begin -= length;
  Append(rest + begin, path, length);
  size_t size = 0;
  if (path[0] != '/') {
    size = LengthOf(base, kUsualPath);
    if (base[0] != '/' || size >= kUsualPath || size >= room) return 0;
    Append(result, base, size);
    if (size == 1) size = 0;
  }
  for (int links = 0;;) {
    while (rest[begin] == '/') ++begin;
    const char* const name = rest + begin;
    length = static_cast<size_t>(FindOrEnd(name, '/') - name);
    if (length == 0) break;
    begin += length;
    if (length == 1 && name[0] == '.') continue;
    if (length == 2 && name[0] == '.' && name[1] == '.') {
      while (size > 0 && result[--size] != '/') {
      }
      continue;
    }
    if (size + 1 + length >= room) return 0;
    const size_t parent = size;
    result[size++] = '/';
    Append(result + size, name, length);
    size += length;
    result[size] = 0;
    char target[kUsualPath];
    const long link = RawSyscall(SYS_readlinkat, AT_FDCWD, AsWord(result), AsWord(target), sizeof target);
    if (link == -EINVAL) continue;  // No link.
    const auto link_size = static_cast<size_t>(link);
    if (Failed(link) || ++links > kMaxLinks || link_size == sizeof target || link_size > begin) return 0;
    begin -= link_size;
    Append(rest + begin, target, link_size);
    size = target[0] == '/' ? 0 : parent;
  }
  return size;
}

}  // namespace

size_t ExecutablePath(const char* requested, const char* const* argv, const char* cwd, char* path, size_t room) {
  const bool plain = requested != nullptr && argv != nullptr && requested[0] != 0 && !StartsWith(requested, "/dev/") &&
                     !StartsWith(requested, "/proc/") && !MayBeScript(requested, argv);
  const size_t size = plain ? Canonical(cwd, requested, path, room) : 0;
  return size > 0 ? size : ReadExe(path, room);
}

}  // namespace ocpwatch
