// Trees that libc walks by itself: glob, ftw, nftw, fts. What they stat and list does not pass through the PLT.
//
// glob can be given functions for that: the program's own, which are our wrappers. For the others each entry that the
// program is shown is told as what libc has done for it: a directory was listed, anything else was looked up. Walks
// that change the working directory (FTW_CHDIR, fts without FTS_NOCHDIR) tell absolute paths, and the changes.
#include <dirent.h>
#include <fts.h>
#include <ftw.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "preload/runtime/call.h"
#include "preload/runtime/export.h"
#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"
#include "real_calls.h"

namespace ocpwatch {
namespace {

void TellPath(FunctionId function, const char* path, int error) {
  Call call;
  call.function = function;
  call.path = path;
  call.result = error == 0 ? 0 : -1;
  call.error = error;
  RecordAfter(call);
}

void TellLookup(const char* path, int error) { TellPath(FunctionId::kLstat, path, error); }
void TellListing(const char* path, int error) { TellPath(FunctionId::kScandir, path, error); }

bool IsTold(FunctionId function) { return BehaviourFor(function) != Behaviour::kOff; }

// Where the process is; "" if that cannot be said.
void WorkingDirectory(char (&path)[PATH_MAX]) {
  if (Failed(RawSyscall(SYS_getcwd, AsWord(path), sizeof path))) path[0] = 0;
}

// `path` as seen from `base`.
const char* Absolute(const char* base, const char* path, char (&buffer)[2 * PATH_MAX]) {
  if (path[0] == '/' || base[0] == 0) return path;
  const size_t base_size = LengthOf(base, PATH_MAX - 1);
  const size_t size = LengthOf(path, PATH_MAX - 1);
  char* at = Append(buffer, base, base_size);
  *at++ = '/';
  at = Append(at, path, size);
  *at = 0;
  return buffer;
}

// ---- glob

int Glob(int (*next)(const char*, int, int (*)(const char*, int), glob_t*), const char* pattern, int flags,
         int (*on_error)(const char*, int), glob_t* result) {
  if (!IsTold(FunctionId::kGlob) || (flags & GLOB_ALTDIRFUNC) != 0 || result == nullptr) {
    return next(pattern, flags, on_error, result);
  }
  const glob_t before = *result;
  // By their usual names: our wrappers, or whatever stands before them.
  result->gl_opendir = [](const char* path) -> void* { return opendir(path); };
  result->gl_readdir = [](void* directory) { return readdir(static_cast<DIR*>(directory)); };
  result->gl_closedir = [](void* directory) { closedir(static_cast<DIR*>(directory)); };
  result->gl_stat = stat;
  result->gl_lstat = lstat;
  const int status = next(pattern, flags | GLOB_ALTDIRFUNC, on_error, result);
  const int error = errno;
  result->gl_opendir = before.gl_opendir;
  result->gl_readdir = before.gl_readdir;
  result->gl_closedir = before.gl_closedir;
  result->gl_stat = before.gl_stat;
  result->gl_lstat = before.gl_lstat;
  result->gl_flags &= ~GLOB_ALTDIRFUNC;
  Call call;
  call.function = FunctionId::kGlob;
  call.path = pattern;
  call.result = status == 0 ? 0 : -1;
  RecordAfter(call);
  errno = error;
  return status;
}

// ---- ftw, nftw

using Visit = int (*)(const char*, const struct stat*, int);
using VisitTree = int (*)(const char*, const struct stat*, int, struct FTW*);

// The walk that this thread is in. Callbacks carry no argument of ours.
struct Walk {
  Visit visit;
  VisitTree visit_tree;
  const char* base;      // FTW_CHDIR: where the walk began; else null.
  char* last_directory;  // FTW_CHDIR: where we last told that we are.
};
constinit thread_local Walk walk = {};

void TellEntry(const char* path, int type) {
  const int error = errno;
  switch (type) {
    case FTW_D:
    case FTW_DP:
      TellListing(path, 0);
      break;
    case FTW_DNR:
      TellListing(path, EACCES);
      break;
    case FTW_NS:
      TellLookup(path, EACCES);
      break;
    default:
      TellLookup(path, 0);
  }
  errno = error;
}

// nftw stands in the directory of each entry when it shows it.
void TellDirectoryOf(const char* path, const struct FTW* place) {
  char now[PATH_MAX];
  size_t size = place != nullptr && place->base > 0 ? static_cast<size_t>(place->base) : 0;
  while (size > 1 && path[size - 1] == '/') --size;
  if (size >= sizeof now) return;
  Append(now, path, size);
  now[size] = 0;
  const size_t last = LengthOf(walk.last_directory, PATH_MAX);
  if (last == size && Equal(walk.last_directory, now, size)) return;
  Append(walk.last_directory, now, size + 1);
  TellPath(FunctionId::kChdir, size > 0 ? now : walk.base, 0);
}

int ShowEntry(const char* path, const struct stat* status, int type) {
  TellEntry(path, type);
  return walk.visit(path, status, type);
}

int ShowTreeEntry(const char* path, const struct stat* status, int type, struct FTW* place) {
  if (walk.base != nullptr) {
    char buffer[2 * PATH_MAX];
    const char* const absolute = Absolute(walk.base, path, buffer);
    TellEntry(absolute, type);
    struct FTW absolute_place = *place;
    absolute_place.base += static_cast<int>(LengthOf(absolute, sizeof buffer) - LengthOf(path, PATH_MAX));
    TellDirectoryOf(absolute, &absolute_place);
  } else {
    TellEntry(path, type);
  }
  return walk.visit_tree(path, status, type, place);
}

int Ftw(int (*next)(const char*, Visit, int), const char* path, Visit visit, int descriptors) {
  if (!IsTold(FunctionId::kFtw)) return next(path, visit, descriptors);
  const Walk outer = walk;
  walk = {visit, nullptr, nullptr, nullptr};
  const int result = next(path, ShowEntry, descriptors);
  walk = outer;
  const int error = errno;
  TellPath(FunctionId::kFtw, path, result == -1 ? error : 0);
  errno = error;
  return result;
}

int Nftw(int (*next)(const char*, VisitTree, int, int), const char* path, VisitTree visit, int descriptors, int flags) {
  if (!IsTold(FunctionId::kNftw)) return next(path, visit, descriptors, flags);
  const Walk outer = walk;
  char base[PATH_MAX];
  char last[PATH_MAX];
  last[0] = 0;
  walk = {nullptr, visit, nullptr, last};
  if ((flags & FTW_CHDIR) != 0) {
    WorkingDirectory(base);
    walk.base = base;
  }
  const int result = next(path, ShowTreeEntry, descriptors, flags);
  const int error = errno;
  if (walk.base != nullptr && last[0] != 0) TellPath(FunctionId::kChdir, base, 0);
  walk = outer;
  TellPath(FunctionId::kNftw, path, result == -1 ? error : 0);
  errno = error;
  return result;
}

// ---- fts

// fts keeps the directory in which it began open.
void BaseOf(const FTS* tree, char (&base)[PATH_MAX]) {
  char link[40];
  char* end = Append(link, "/proc/self/fd/", 14);
  end = AppendDecimal(end, static_cast<uint64_t>(tree->fts_rfd));
  *end = 0;
  const long size = RawSyscall(SYS_readlinkat, AT_FDCWD, AsWord(link), AsWord(base), sizeof base - 1);
  base[Failed(size) ? 0 : size] = 0;
}

bool Wanders(const FTS* tree) { return (tree->fts_options & FTS_NOCHDIR) == 0 && tree->fts_rfd >= 0; }

void TellNode(const FTS* tree, const FTSENT* node) {
  char base[PATH_MAX];
  char buffer[2 * PATH_MAX];
  const char* path = node->fts_path;
  if (Wanders(tree) && path[0] != '/') {
    BaseOf(tree, base);
    path = Absolute(base, path, buffer);
  }
  switch (node->fts_info) {
    case FTS_D:
      TellListing(path, 0);
      break;
    case FTS_DP:
      break;  // It was told before its entries.
    case FTS_DNR:
      TellListing(path, node->fts_errno);
      break;
    case FTS_NS:
    case FTS_ERR:
      TellLookup(path, node->fts_errno);
      break;
    default:
      TellLookup(path, 0);
  }
}

void TellWhereItStands(const FTS* tree) {
  if (!Wanders(tree)) return;
  char cwd[PATH_MAX];
  WorkingDirectory(cwd);
  if (cwd[0] != 0) TellPath(FunctionId::kChdir, cwd, 0);
}

FTSENT* FtsRead(FTSENT* (*next)(FTS*), FTS* tree) {
  if (!IsTold(FunctionId::kFtsRead)) return next(tree);
  FTSENT* const node = next(tree);
  const int error = errno;
  if (node != nullptr) TellNode(tree, node);
  // Only going into a directory or out of one changes where we are.
  if (node == nullptr || node->fts_info == FTS_D || node->fts_info == FTS_DP || node->fts_level <= 1)
    TellWhereItStands(tree);
  errno = error;
  return node;
}

FTSENT* FtsChildren(FTSENT* (*next)(FTS*, int), FTS* tree, int options) {
  if (!IsTold(FunctionId::kFtsChildren)) return next(tree, options);
  FTSENT* const nodes = next(tree, options);
  const int error = errno;
  if (tree->fts_cur != nullptr && tree->fts_cur->fts_info == FTS_D) TellNode(tree, tree->fts_cur);
  errno = error;
  return nodes;
}

}  // namespace
}  // namespace ocpwatch

using namespace ocpwatch;

#define OCPWATCH_GLOB(name)                                                                                         \
  OCPWATCH_EXPORT(int, name, (const char* pattern, int flags, int (*on_error)(const char*, int), glob_t* result)) { \
    BehaviourFor(FunctionId::kGlob);                                                                                \
    return Glob(real.name, pattern, flags, on_error, result);                                                       \
  }
OCPWATCH_GLOB(glob)
OCPWATCH_GLOB(glob64)

#define OCPWATCH_FTW(name)                                                       \
  OCPWATCH_EXPORT(int, name, (const char* path, Visit visit, int descriptors)) { \
    BehaviourFor(FunctionId::kFtw);                                              \
    return Ftw(real.name, path, visit, descriptors);                             \
  }
OCPWATCH_FTW(ftw)
OCPWATCH_FTW(ftw64)

#define OCPWATCH_NFTW(name)                                                                     \
  OCPWATCH_EXPORT(int, name, (const char* path, VisitTree visit, int descriptors, int flags)) { \
    BehaviourFor(FunctionId::kNftw);                                                            \
    return Nftw(real.name, path, visit, descriptors, flags);                                    \
  }
OCPWATCH_NFTW(nftw)
OCPWATCH_NFTW(nftw64)

#define OCPWATCH_FTS(open, read, children)                                                                         \
  OCPWATCH_EXPORT(FTS*, open, (char* const* paths, int options, int (*compare)(const FTSENT**, const FTSENT**))) { \
    BehaviourFor(FunctionId::kFtsOpen);                                                                            \
    return real.open(paths, options, compare);                                                                     \
  }                                                                                                                \
  OCPWATCH_EXPORT(FTSENT*, read, (FTS * tree)) {                                                                   \
    BehaviourFor(FunctionId::kFtsRead);                                                                            \
    return FtsRead(real.read, tree);                                                                               \
  }                                                                                                                \
  OCPWATCH_EXPORT(FTSENT*, children, (FTS * tree, int options)) {                                                  \
    BehaviourFor(FunctionId::kFtsChildren);                                                                        \
    return FtsChildren(real.children, tree, options);                                                              \
  }
OCPWATCH_FTS(fts_open, fts_read, fts_children)
OCPWATCH_FTS(fts64_open, fts64_read, fts64_children)
