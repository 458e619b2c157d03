// Makes each kind of access once, each to a path of its own, and prints what a record has to say of that path:
//
//   accesses prepare            makes the files, in the working directory; not traced
//   accesses run PLUGIN         "KINDS <tab> PATH" for each access; "error NAME <tab> PATH" for each call that has to
//   fail
//
// The first letter of a path tells what it is beforehand: f/ a file, d/ a directory with the file "entry", l/ a symlink
// to f/target, n/ nothing (and it stays so), o/ nothing (an output).
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include "check.h"

// Only old binaries may link these; glibc keeps them for those.
int OldStat(int version, const char* path, struct stat* result);
int OldLstat(int version, const char* path, struct stat* result);
int OldFstatat(int version, int fd, const char* path, struct stat* result, int flags);
__asm__(".symver OldStat, __xstat@GLIBC_2.2.5");
__asm__(".symver OldLstat, __lxstat@GLIBC_2.2.5");
__asm__(".symver OldFstatat, __fxstatat@GLIBC_2.4");

static bool preparing;
static char buffer[PATH_MAX];
static struct stat st;

static void WriteFile(const char* path) {
  FILE* file = fopen(path, "w");
  CHECK(file != NULL && fprintf(file, "the content of %s\n", path) > 0 && fclose(file) == 0);
}

static void Prepare(const char* path) {
  char entry[PATH_MAX];
  // What lies deeper comes with its directory.
  if (access(path, F_OK) == 0 || strchr(path + 2, '/') != NULL) return;
  switch (path[0]) {
    case 'f':
      WriteFile(path);
      break;
    case 'd':
      snprintf(entry, sizeof entry, "%s/entry", path);
      CHECK(mkdir(path, 0755) == 0);
      WriteFile(entry);
      break;
    case 'l':
      CHECK(symlink("../f/target", path) == 0);
      break;
    default:
      break;
  }
}

#define TRY(kinds, path, call)         \
  do {                                 \
    if (preparing) {                   \
      Prepare(path);                   \
    } else {                           \
      CHECK(call);                     \
      printf("%s\t%s\n", kinds, path); \
    }                                  \
  } while (0)

#define FAILS(wanted, path, call)              \
  do {                                         \
    if (preparing) {                           \
      Prepare(path);                           \
    } else {                                   \
      errno = 0;                               \
      CHECK(!(call) && errno == wanted);       \
      printf("error %s\t%s\n", #wanted, path); \
    }                                          \
  } while (0)

static bool Closed(int fd) { return fd >= 0 && close(fd) == 0; }

static bool FileClosed(FILE* file) {
  char line[100];
  return file != NULL && fgets(line, sizeof line, file) != NULL && fclose(file) == 0;
}

static int OpenAt2(const char* path, uint64_t flags) {
  struct open_how how = {.flags = flags};
  return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

static void Opens(void) {
  TRY("reads", "f/open", Closed(open("f/open", O_RDONLY)));
  TRY("reads", "f/open64", Closed(open64("f/open64", O_RDONLY | O_CLOEXEC)));
  TRY("reads", "f/openat", Closed(openat(AT_FDCWD, "f/openat", O_RDONLY)));
  TRY("reads", "f/openat2", Closed(OpenAt2("f/openat2", O_RDONLY)));
  TRY("reads", "f/syscall", Closed((int)syscall(SYS_open, "f/syscall", O_RDONLY)));
  TRY("reads", "f/fopen", FileClosed(fopen("f/fopen", "r")));
  TRY("reads", "f/fopen64", FileClosed(fopen64("f/fopen64", "re")));
  TRY("writes", "o/open", Closed(open("o/open", O_WRONLY | O_CREAT, 0644)));
  TRY("writes", "f/truncated", Closed(open("f/truncated", O_WRONLY | O_TRUNC)));
  TRY("writes", "f/appended", Closed(open("f/appended", O_WRONLY | O_APPEND)));
  TRY("reads,writes", "f/rdwr", Closed(open("f/rdwr", O_RDWR)));
  TRY("writes", "o/exclusive", Closed(open("o/exclusive", O_WRONLY | O_CREAT | O_EXCL, 0600)));
  TRY("writes", "o/creat", Closed(creat("o/creat", 0644)));
  TRY("writes", "o/creat64", Closed(creat64("o/creat64", 0644)));
  TRY("reads", "l/open", Closed(open("l/open", O_RDONLY)));
  if (!preparing) {
    FILE* file = fopen("o/fopen", "w");
    CHECK(file != NULL);
    printf("writes\to/fopen\n");
    file = freopen("f/freopen", "r", file);
    CHECK(FileClosed(file));
    printf("reads\tf/freopen\n");
    // Descriptors and directories.
    int directory = open("d/dirfd", O_RDONLY | O_DIRECTORY);
    int copy = dup(directory);
    CHECK(directory >= 0 && copy >= 0 && close(directory) == 0 && Closed(openat(copy, "entry", O_RDONLY)));
    printf("reads\td/dirfd/entry\n");
    CHECK(dup2(copy, 50) == 50 && fcntl(copy, F_DUPFD, 60) == 60 && close(copy) == 0);
    CHECK(mkdirat(60, "made", 0755) == 0 && Closed(openat(50, "made/file", O_WRONLY | O_CREAT, 0644)));
    printf("writes\td/dirfd/made\nwrites\td/dirfd/made/file\n");
    int back = open(".", O_RDONLY | O_DIRECTORY);
    CHECK(back >= 0 && chdir("d/chdir") == 0 && Closed(open("entry", O_RDONLY)));
    printf("reads\td/chdir/entry\n");
    CHECK(fchdir(50) == 0 && Closed(open("made/second", O_WRONLY | O_CREAT, 0644)) && fchdir(back) == 0);
    printf("writes\td/dirfd/made/second\n");
    CHECK(close(50) == 0 && close(60) == 0 && close(back) == 0);
  } else {
    Prepare("f/freopen");
    Prepare("d/dirfd");
    Prepare("d/chdir");
  }
}

static void Looks(void) {
  struct statx stx;
  TRY("checked", "f/stat", stat("f/stat", &st) == 0);
  TRY("checked", "f/lstat", lstat("f/lstat", &st) == 0);
  TRY("checked", "l/lstat", lstat("l/lstat", &st) == 0);
  TRY("checked", "f/fstatat", fstatat(AT_FDCWD, "f/fstatat", &st, 0) == 0);
  TRY("checked", "f/statx", statx(AT_FDCWD, "f/statx", 0, STATX_ALL, &stx) == 0);
  TRY("checked", "f/xstat", OldStat(1, "f/xstat", &st) == 0);
  TRY("checked", "f/lxstat", OldLstat(1, "f/lxstat", &st) == 0);
  TRY("checked", "f/fxstatat", OldFstatat(1, AT_FDCWD, "f/fxstatat", &st, 0) == 0);
  TRY("checked", "f/syscall_stat", syscall(SYS_newfstatat, AT_FDCWD, "f/syscall_stat", &st, 0) == 0);
  TRY("checked", "f/access", access("f/access", R_OK) == 0);
  TRY("checked", "f/faccessat", faccessat(AT_FDCWD, "f/faccessat", R_OK, 0) == 0);
  TRY("checked", "f/eaccess", eaccess("f/eaccess", R_OK) == 0);
  TRY("checked", "l/readlink", readlink("l/readlink", buffer, sizeof buffer) > 0);
  TRY("checked", "l/readlinkat", readlinkat(AT_FDCWD, "l/readlinkat", buffer, sizeof buffer) > 0);
  TRY("checked", "f/realpath", realpath("f/realpath", buffer) != NULL);
  TRY("checked", "f/getxattr", getxattr("f/getxattr", "user.none", buffer, sizeof buffer) == -1);
  TRY("checked", "f/listxattr", listxattr("f/listxattr", buffer, sizeof buffer) >= 0);
  FAILS(ENOENT, "n/open", open("n/open", O_RDONLY) >= 0);
  FAILS(ENOENT, "n/fopen", fopen("n/fopen", "r") != NULL);
  FAILS(ENOENT, "n/stat", stat("n/stat", &st) == 0);
  FAILS(ENOENT, "n/access", access("n/access", F_OK) == 0);
  FAILS(ENOENT, "n/opendir", opendir("n/opendir") != NULL);
  FAILS(ENOENT, "n/readlink", readlink("n/readlink", buffer, sizeof buffer) >= 0);
  FAILS(ENOENT, "n/statx", statx(AT_FDCWD, "n/statx", 0, STATX_ALL, &stx) == 0);
  FAILS(ENOENT, "n/unlink", unlink("n/unlink") == 0);
  FAILS(ENOENT, "n/rename", rename("n/rename", "o/never") == 0);
  FAILS(ENOTDIR, "f/no_directory/x", open("f/no_directory/x", O_RDONLY) >= 0);
  FAILS(EEXIST, "f/exists", open("f/exists", O_WRONLY | O_CREAT | O_EXCL, 0644) >= 0);
  FAILS(EEXIST, "d/exists", mkdir("d/exists", 0755) == 0);
  FAILS(ENOTEMPTY, "d/not_empty", rmdir("d/not_empty") == 0);
  FAILS(EISDIR, "d/is_directory", open("d/is_directory", O_WRONLY) >= 0);
  FAILS(EINVAL, "f/no_link", readlink("f/no_link", buffer, sizeof buffer) >= 0);
  FAILS(ENOTDIR, "f/chdir", chdir("f/chdir") == 0);
  if (preparing) Prepare("f/no_directory");
}

static int Select(const struct dirent* entry) {
  (void)entry;
  return 1;
}

static int Visit(const char* path, const struct stat* status, int type, struct FTW* where) {
  (void)path, (void)status, (void)type, (void)where;
  return 0;
}

static bool Listed(DIR* directory) {
  int names = 0;
  while (directory != NULL && readdir(directory) != NULL) ++names;
  return names >= 3 && closedir(directory) == 0;
}

static void Lists(void) {
  struct dirent** names;
  glob_t found;
  TRY("listed", "d/opendir", Listed(opendir("d/opendir")));
  TRY("listed", "d/fdopendir", Listed(fdopendir(open("d/fdopendir", O_RDONLY | O_DIRECTORY))));
  TRY("listed", "d/scandir", scandir("d/scandir", &names, Select, alphasort) == 3);
  TRY("listed", "d/glob", glob("d/glob/*", 0, NULL, &found) == 0 && found.gl_pathc == 1);
  TRY("listed", "d/nftw", nftw("d/nftw", Visit, 4, FTW_PHYS) == 0);
  // A directory that is opened and not read is not listed.
  TRY("checked", "d/opened", Closed(open("d/opened", O_RDONLY | O_DIRECTORY)));
}

static void Changes(void) {
  const struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
  const struct timeval old_times[2] = {{1000000000, 0}, {1000000000, 0}};
  int fd;
  TRY("writes", "o/mkdir", mkdir("o/mkdir", 0755) == 0);
  TRY("writes", "o/mkdirat", mkdirat(AT_FDCWD, "o/mkdirat", 0755) == 0);
  TRY("writes", "o/mkfifo", mkfifo("o/mkfifo", 0600) == 0);
  TRY("writes", "o/mkfifoat", mkfifoat(AT_FDCWD, "o/mkfifoat", 0600) == 0);
  TRY("writes", "o/mknod", mknod("o/mknod", S_IFREG | 0600, 0) == 0);
  TRY("writes", "o/symlink", symlink("target", "o/symlink") == 0);
  TRY("writes", "o/symlinkat", symlinkat("target", AT_FDCWD, "o/symlinkat") == 0);
  TRY("reads", "f/link", link("f/link", "o/link") == 0);
  TRY("writes", "o/link", true);
  TRY("writes", "o/linkat", linkat(AT_FDCWD, "f/link", AT_FDCWD, "o/linkat", 0) == 0);
  TRY("removed", "f/rename", rename("f/rename", "o/rename") == 0);
  TRY("writes", "o/rename", true);
  TRY("removed", "f/renameat", renameat(AT_FDCWD, "f/renameat", AT_FDCWD, "o/renameat") == 0);
  TRY("writes", "o/renameat", true);
  TRY("removed", "f/renameat2", renameat2(AT_FDCWD, "f/renameat2", AT_FDCWD, "o/renameat2", RENAME_NOREPLACE) == 0);
  TRY("writes", "o/renameat2", true);
  TRY("removed", "f/unlink", unlink("f/unlink") == 0);
  TRY("removed", "f/unlinkat", unlinkat(AT_FDCWD, "f/unlinkat", 0) == 0);
  TRY("removed", "f/remove", remove("f/remove") == 0);
  TRY("removed", "d/rmdir/entry", unlink("d/rmdir/entry") == 0);
  TRY("removed", "d/rmdir", rmdir("d/rmdir") == 0);
  TRY("writes", "f/truncate", truncate("f/truncate", 3) == 0);
  TRY("writes", "f/ftruncate",
      (fd = open("f/ftruncate", O_WRONLY)) >= 0 && ftruncate(fd, 2) == 0 && posix_fallocate(fd, 0, 10) == 0 &&
          Closed(fd));
  TRY("writes", "f/chmod", chmod("f/chmod", 0600) == 0);
  TRY("writes", "f/fchmodat", fchmodat(AT_FDCWD, "f/fchmodat", 0600, 0) == 0);
  TRY("reads,writes", "f/fchmod", (fd = open("f/fchmod", O_RDONLY)) >= 0 && fchmod(fd, 0600) == 0 && Closed(fd));
  TRY("writes", "f/chown", chown("f/chown", getuid(), getgid()) == 0);
  TRY("writes", "f/lchown", lchown("f/lchown", getuid(), getgid()) == 0);
  TRY("writes", "f/fchownat", fchownat(AT_FDCWD, "f/fchownat", getuid(), getgid(), 0) == 0);
  TRY("writes", "f/utime", utime("f/utime", NULL) == 0);
  TRY("writes", "f/utimes", utimes("f/utimes", old_times) == 0);
  TRY("writes", "f/utimensat", utimensat(AT_FDCWD, "f/utimensat", times, 0) == 0);
  TRY("reads,writes", "f/futimens", (fd = open("f/futimens", O_RDONLY)) >= 0 && futimens(fd, times) == 0 && Closed(fd));
  // Not every file system keeps user attributes; that the call was made counts all the same.
  TRY("writes", "f/setxattr", setxattr("f/setxattr", "user.test", "1", 1, 0) == 0 || errno == ENOTSUP);
}

static void Temporaries(void) {
  if (preparing) return;
  char name[] = "o/mkstemp.XXXXXX";
  char name_with_suffix[] = "o/mkstemps.XXXXXX.c";
  char opened[] = "o/mkostemp.XXXXXX";
  char directory[] = "o/mkdtemp.XXXXXX";
  CHECK(Closed(mkstemp(name)));
  CHECK(Closed(mkstemps(name_with_suffix, 2)));
  CHECK(Closed(mkostemp(opened, O_CLOEXEC)));
  CHECK(mkdtemp(directory) != NULL);
  printf("writes\t%s\nwrites\t%s\nwrites\t%s\nwrites\t%s\n", name, name_with_suffix, opened, directory);
  FILE* unnamed = tmpfile();
  CHECK(unnamed != NULL && fclose(unnamed) == 0);
  // A file that has no name at first.
  int fd = open("o", O_TMPFILE | O_WRONLY, 0644);
  if (fd >= 0) {
    snprintf(buffer, sizeof buffer, "/proc/self/fd/%d", fd);
    CHECK(linkat(AT_FDCWD, buffer, AT_FDCWD, "o/named_later", AT_SYMLINK_FOLLOW) == 0 && close(fd) == 0);
    printf("writes\to/named_later\n");
  } else {
    CHECK(errno == EOPNOTSUPP);
  }
}

static bool Copy(const char* from, const char* to, int way) {
  int in = open(from, O_RDONLY);
  int out = open(to, O_WRONLY | O_CREAT, 0644);
  int pipes[2];
  ssize_t copied = -1;
  CHECK(in >= 0 && out >= 0 && pipe(pipes) == 0);
  if (way == 0) copied = sendfile(out, in, NULL, 5);
  if (way == 1) copied = copy_file_range(in, NULL, out, NULL, 5, 0);
  if (way == 2) copied = splice(in, NULL, pipes[1], NULL, 5, 0) == 5 ? splice(pipes[0], NULL, out, NULL, 5, 0) : -1;
  CHECK(close(pipes[0]) == 0 && close(pipes[1]) == 0);
  return copied == 5 && close(in) == 0 && close(out) == 0;
}

static bool Mapped(const char* path) {
  int fd = open(path, O_RDWR);
  char* text = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(fd >= 0 && text != MAP_FAILED);
  text[0] = 'T';
  return munmap(text, 1) == 0 && close(fd) == 0;
}

static void Copies(const char* plugin) {
  TRY("reads", "f/sendfile", Copy("f/sendfile", "o/sendfile", 0));
  TRY("writes", "o/sendfile", true);
  TRY("reads", "f/copy_file_range", Copy("f/copy_file_range", "o/copy_file_range", 1));
  TRY("writes", "o/copy_file_range", true);
  TRY("reads", "f/splice", Copy("f/splice", "o/splice", 2));
  TRY("writes", "o/splice", true);
  TRY("reads,writes", "f/mapped", Mapped("f/mapped"));
  if (!preparing) {
    CHECK(dlopen(plugin, RTLD_NOW) != NULL);
    printf("reads\t%s\n", plugin);
  }
}

int main(int argc, char** argv) {
  preparing = argc == 2 && strcmp(argv[1], "prepare") == 0;
  CHECK(preparing || argc == 3);
  if (preparing) {
    CHECK(mkdir("f", 0755) == 0 && mkdir("d", 0755) == 0 && mkdir("l", 0755) == 0 && mkdir("n", 0755) == 0);
    CHECK(mkdir("o", 0755) == 0);
    Prepare("f/target");
  }
  Opens();
  Looks();
  Lists();
  Changes();
  Temporaries();
  Copies(argv[argc - 1]);
  return 0;
}
