#include <linux/fs.h>
#include <sys/mman.h>

#include <catch2/catch.hpp>

#include "tests/unit/session/events.h"

namespace ocpwatch {
namespace {

TEST_CASE("An open says by its flags what is done with the file") {
  Model m;
  m.Apply(m.frames.Open(1, "r.c", O_RDONLY, 3));
  m.Apply(m.frames.Open(1, "w.o", O_WRONLY | O_CREAT | O_TRUNC, 4));
  m.Apply(m.frames.Open(1, "rw.db", O_RDWR, 5));
  m.Apply(m.frames.Open(1, "t.db", O_RDWR | O_TRUNC, 6));
  m.Apply(m.frames.Open(1, "new.lock", O_WRONLY | O_CREAT | O_EXCL, 7));
  m.Apply(m.frames.Open(1, "dir", O_RDONLY, 8, S_IFDIR | 0755));
  m.Apply(m.frames.Open(1, "path", O_PATH, 9));
  CHECK(m.Kinds(1, "/src/r.c") == kRead);
  CHECK(m.Kinds(1, "/src/w.o") == kWritten);
  CHECK(m.Kinds(1, "/src/rw.db") == (kRead | kWritten));
  CHECK(m.Kinds(1, "/src/t.db") == kWritten);
  CHECK(m.Kinds(1, "/src/new.lock") == (kWritten | kCreated));
  CHECK(m.Kinds(1, "/src/dir") == (kChecked | kDirectory));
  CHECK(m.Kinds(1, "/src/path") == kChecked);
}

TEST_CASE("A failed look-up is missing, any other failure is denied") {
  Model m;
  m.Apply(m.frames.After(1, v1::OP_OPEN, "a.h", ENOENT));
  m.Apply(m.frames.After(1, v1::OP_STAT, "b/c", ENOTDIR));
  m.Apply(m.frames.After(1, v1::OP_ACCESS, "secret", EACCES));
  m.Apply(m.frames.After(1, v1::OP_MKDIR, "there", EEXIST));
  m.Apply(m.frames.After(1, v1::OP_OPEN, "", ENOENT));
  CHECK(m.Kinds(1, "/src/a.h") == kMissing);
  CHECK(m.Find(1, "/src/a.h")->error == ENOENT);
  CHECK(m.Kinds(1, "/src/b/c") == kMissing);
  CHECK(m.Kinds(1, "/src/secret") == kDenied);
  CHECK(m.Kinds(1, "/src/there") == (kDenied | kChecked));
  CHECK(m.Kinds(1, "/src") == 0);
}

TEST_CASE("To what wants a directory, ENOTDIR says that something else is there") {
  Model m;
  const auto kinds = [&](v1::Op op, uint32_t flags) {
    const std::string path = "/f/" + v1::Op_Name(op) + std::to_string(flags);
    v1::Frame call = m.frames.After(1, op, path, ENOTDIR);
    call.mutable_after()->set_flags(flags);
    m.Apply(call);
    CHECK(m.Find(1, path)->error == ENOTDIR);
    return m.Kinds(1, path);
  };
  for (const v1::Op op : {v1::OP_CHDIR, v1::OP_CHROOT, v1::OP_LIST, v1::OP_OPEN_DIR, v1::OP_RMDIR}) {
    INFO(v1::Op_Name(op));
    CHECK(kinds(op, 0) == kDenied);
  }
  CHECK(kinds(v1::OP_UNLINK, AT_REMOVEDIR) == kDenied);
  CHECK(kinds(v1::OP_OPEN, O_DIRECTORY | O_CLOEXEC) == kDenied);
  // What these look for would lie below something that is no directory.
  for (const v1::Op op : {v1::OP_OPEN, v1::OP_UNLINK, v1::OP_MKDIR, v1::OP_STAT}) {
    INFO(v1::Op_Name(op));
    CHECK(kinds(op, 0) == kMissing);
  }
}

TEST_CASE("What only looks is checked") {
  Model m;
  for (const v1::Op op : {v1::OP_STAT, v1::OP_ACCESS, v1::OP_READLINK, v1::OP_GET_XATTR}) {
    const std::string path = "/f/" + v1::Op_Name(op);
    m.Apply(m.frames.After(1, op, path));
    CHECK(m.Kinds(1, path) == kChecked);
  }
  v1::Frame directory = m.frames.After(1, v1::OP_STAT, "/d");
  directory.mutable_after()->mutable_stat()->set_mode(S_IFDIR | 0755);
  m.Apply(directory);
  CHECK(m.Kinds(1, "/d") == (kChecked | kDirectory));
  v1::Frame real = m.frames.After(1, v1::OP_REALPATH, "/link");
  real.mutable_after()->set_result_path("/target");
  const Applied applied = m.Apply(real);
  CHECK(m.Kinds(1, "/link") == kChecked);
  CHECK(m.Kinds(1, "/target") == kChecked);
  CHECK(m.trace.Path(applied.path) == "/link");
  CHECK(m.trace.Path(applied.path2) == "/target");
}

TEST_CASE("What changes names is written or removed") {
  Model m;
  v1::Frame rename = m.frames.After(1, v1::OP_RENAME, "a.tmp");
  rename.mutable_after()->set_path2("a.o");
  m.Apply(rename);
  CHECK(m.Kinds(1, "/src/a.tmp") == kRemoved);
  CHECK(m.Kinds(1, "/src/a.o") == kWritten);
  v1::Frame exchange = m.frames.After(1, v1::OP_RENAME, "x");
  exchange.mutable_after()->set_path2("y");
  exchange.mutable_after()->set_flags(RENAME_EXCHANGE);
  m.Apply(exchange);
  CHECK(m.Kinds(1, "/src/x") == kWritten);
  CHECK(m.Kinds(1, "/src/y") == kWritten);
  v1::Frame link = m.frames.After(1, v1::OP_LINK, "from");
  link.mutable_after()->set_path2("to");
  m.Apply(link);
  CHECK(m.Kinds(1, "/src/from") == (kRead | kChecked));
  CHECK(m.Kinds(1, "/src/to") == (kWritten | kCreated));
  v1::Frame symlink = m.frames.After(1, v1::OP_SYMLINK, "anything at all");
  symlink.mutable_after()->set_path2("s");
  m.Apply(symlink);
  CHECK(m.Kinds(1, "/src/s") == (kWritten | kCreated));
  CHECK(m.Kinds(1, "/src/anything at all") == 0);
  m.Apply(m.frames.After(1, v1::OP_MKDIR, "d"));
  CHECK(m.Kinds(1, "/src/d") == (kWritten | kCreated | kDirectory));
  m.Apply(m.frames.After(1, v1::OP_RMDIR, "d"));
  CHECK(m.Kinds(1, "/src/d") == (kWritten | kCreated | kDirectory | kRemoved));
  m.Apply(m.frames.After(1, v1::OP_UNLINK, "u"));
  CHECK(m.Kinds(1, "/src/u") == kRemoved);
  m.Apply(m.frames.After(1, v1::OP_MKNOD, "fifo"));
  CHECK(m.Kinds(1, "/src/fifo") == (kWritten | kCreated));
}

TEST_CASE("Attributes and lengths are marked") {
  Model m;
  for (const v1::Op op : {v1::OP_CHMOD, v1::OP_CHOWN, v1::OP_UTIMES, v1::OP_SET_XATTR}) {
    const std::string path = "/f/" + v1::Op_Name(op);
    m.Apply(m.frames.After(1, op, path));
    CHECK(m.Kinds(1, path) == kAttributes);
  }
  m.Apply(m.frames.After(1, v1::OP_TRUNCATE, "/t"));
  CHECK(m.Kinds(1, "/t") == (kWritten | kAttributes));
}

TEST_CASE("Paths are relative to the descriptor that the call names") {
  Model m;
  m.Apply(m.frames.Open(1, "/usr/include", O_RDONLY | O_DIRECTORY, 5, S_IFDIR | 0755));
  v1::Frame open = m.frames.Open(1, "sys/stat.h", O_RDONLY, 6);
  open.mutable_after()->set_fd(5);
  m.Apply(open);
  CHECK(m.Kinds(1, "/usr/include/sys/stat.h") == kRead);
  CHECK(m.trace.truth.complete());
}

TEST_CASE("A path relative to a descriptor of unknown origin makes the session incomplete") {
  Model m;
  v1::Frame open = m.frames.Open(1, "x", O_RDONLY, 6);
  open.mutable_after()->set_fd(55);
  m.Apply(open);
  CHECK_FALSE(m.trace.truth.complete());
  CHECK(m.trace.truth.notes_size() == 1);
}

TEST_CASE("Calls on a descriptor are uses of its file") {
  Model m;
  m.Apply(m.frames.Open(1, "a", O_RDWR, 5));
  m.Apply(m.frames.OnFd(1, v1::OP_STAT, 5));
  m.Apply(m.frames.OnFd(1, v1::OP_CHMOD, 5));
  m.Apply(m.frames.OnFd(1, v1::OP_TRUNCATE, 5));
  CHECK(m.Kinds(1, "/src/a") == (kRead | kWritten | kChecked | kAttributes));
  CHECK(m.Find(1, "/src/a")->count == 4);
  v1::Frame here = m.frames.After(1, v1::OP_STAT);
  here.mutable_after()->set_flags(AT_EMPTY_PATH);
  m.Apply(here);
  CHECK(m.Kinds(1, "/src") == kChecked);
}

TEST_CASE("A changed directory moves the paths that follow") {
  Model m;
  m.Apply(m.frames.After(1, v1::OP_CHDIR, "sub"));
  m.Apply(m.frames.Open(1, "a", O_RDONLY, 3));
  CHECK(m.Kinds(1, "/src/sub") == (kChecked | kDirectory));
  CHECK(m.Kinds(1, "/src/sub/a") == kRead);
  m.Apply(m.frames.After(1, v1::OP_CHDIR, "nowhere", ENOENT));
  m.Apply(m.frames.Open(1, "/tmp", O_RDONLY | O_DIRECTORY, 4, S_IFDIR));
  m.Apply(m.frames.OnFd(1, v1::OP_CHDIR, 4));
  m.Apply(m.frames.Open(1, "b", O_RDONLY, 3));
  CHECK(m.Kinds(1, "/tmp/b") == kRead);
}

TEST_CASE("A changed root stands before absolute paths") {
  Model m;
  m.Apply(m.frames.After(1, v1::OP_CHROOT, "/jail"));
  m.Apply(m.frames.After(1, v1::OP_CHDIR, "/"));
  m.Apply(m.frames.Open(1, "/etc/passwd", O_RDONLY, 3));
  m.Apply(m.frames.Open(1, "../../x", O_RDONLY, 4));
  CHECK(m.Kinds(1, "/jail/etc/passwd") == kRead);
  CHECK(m.Kinds(1, "/jail/x") == kRead);
}

TEST_CASE("An opened directory gives a descriptor that other paths can start from, 0 too") {
  const int descriptor = GENERATE(0, 9);
  Model m;
  v1::Frame open = m.frames.After(1, v1::OP_OPEN_DIR, "include");
  open.mutable_after()->set_result(descriptor);
  m.Apply(open);
  CHECK(m.Kinds(1, "/src/include") == (kListed | kDirectory));
  v1::Frame stat = m.frames.After(1, v1::OP_STAT, "a.h");
  stat.mutable_after()->set_fd(descriptor);
  m.Apply(stat);
  CHECK(m.Kinds(1, "/src/include/a.h") == kChecked);
  CHECK(m.trace.truth.complete());
  m.Apply(m.frames.After(1, v1::OP_OPEN_DIR, "gone", ENOENT));
  CHECK(m.Kinds(1, "/src/gone") == kMissing);
}

TEST_CASE("A list that opens nothing leaves descriptor 0 what it is; a log of before OPEN_DIR says what it opened") {
  Model m;
  m.Apply(m.frames.Open(1, "/usr", O_RDONLY | O_DIRECTORY, 0, S_IFDIR | 0755));
  m.Apply(m.frames.After(1, v1::OP_LIST, "scanned"));
  CHECK(m.Kinds(1, "/src/scanned") == (kListed | kDirectory));
  v1::Frame stat = m.frames.After(1, v1::OP_STAT, "include");
  stat.mutable_after()->set_fd(0);
  m.Apply(stat);
  CHECK(m.Kinds(1, "/usr/include") == kChecked);
  v1::Frame old = m.frames.After(1, v1::OP_LIST, "opened");
  old.mutable_after()->set_result(9);
  m.Apply(old);
  stat.mutable_after()->set_fd(9);
  m.Apply(stat);
  CHECK(m.Kinds(1, "/src/opened/include") == kChecked);
}

TEST_CASE("Temporary files, names and directories are known by the name that was made") {
  Model m;
  v1::Frame file = m.frames.After(1, v1::OP_TEMP_FILE);
  file.mutable_after()->set_result_path("/tmp/ccAbc.s");
  file.mutable_after()->set_result(4);
  m.Apply(file);
  v1::Frame directory = m.frames.After(1, v1::OP_TEMP_DIR);
  directory.mutable_after()->set_result_path("tmp.X");
  m.Apply(directory);
  v1::Frame name = m.frames.After(1, v1::OP_TEMP_NAME);
  name.mutable_after()->set_result_path("/tmp/free");
  m.Apply(name);
  m.Apply(m.frames.OnFd(1, v1::OP_TEMP_FILE, AT_FDCWD, 5));  // tmpfile: no name.
  CHECK(m.Kinds(1, "/tmp/ccAbc.s") == (kWritten | kCreated));
  CHECK(m.Kinds(1, "/src/tmp.X") == (kWritten | kCreated | kDirectory));
  CHECK(m.Kinds(1, "/tmp/free") == kMissing);
}

TEST_CASE("A nameless file is written where linkat puts it") {
  Model m;
  m.Apply(m.frames.Open(1, "/out", O_TMPFILE | O_RDWR, 7));
  CHECK(m.Kinds(1, "/out") == (kChecked | kDirectory));
  SECTION("by /proc") {
    v1::Frame link = m.frames.After(1, v1::OP_LINK, "/proc/self/fd/7");
    link.mutable_after()->set_path2("/out/a");
    m.Apply(link);
  }
  SECTION("by an empty path") {
    v1::Frame link = m.frames.After(1, v1::OP_LINK);
    link.mutable_after()->set_fd(7);
    link.mutable_after()->set_path2("/out/a");
    link.mutable_after()->set_flags(AT_EMPTY_PATH);
    m.Apply(link);
  }
  CHECK(m.Kinds(1, "/out/a") == (kWritten | kCreated));
  CHECK(m.trace.truth.complete());
  m.Apply(m.frames.OnFd(1, v1::OP_CHMOD, 7));
  CHECK((m.Kinds(1, "/out/a") & kAttributes) != 0);
}

TEST_CASE("Copies and maps count for the files behind the descriptors") {
  Model m;
  m.Apply(m.frames.Open(1, "in", O_RDONLY, 5));
  m.Apply(m.frames.Open(1, "out", O_RDWR, 6));
  v1::Frame copy = m.frames.OnFd(1, v1::OP_COPY, 5, 100);
  copy.mutable_after()->set_fd2(6);
  m.Apply(copy);
  CHECK(m.Find(1, "/src/in")->count == 2);
  CHECK(m.Find(1, "/src/out")->count == 2);
  v1::Frame map = m.frames.OnFd(1, v1::OP_MAP, 5);
  map.mutable_after()->set_flags(MAP_SHARED);
  map.mutable_after()->set_mode(PROT_READ | PROT_WRITE);
  m.Apply(map);
  CHECK(m.Kinds(1, "/src/in") == (kRead | kWritten));
}

TEST_CASE("A loaded library is read, a library asked for by path and not there is missing") {
  Model m;
  v1::Frame load = m.frames.After(1, v1::OP_LOAD, "libz.so.1");
  load.mutable_after()->set_result_path("/lib/libz.so.1");
  m.Apply(load);
  m.Apply(m.frames.After(1, v1::OP_LOAD, "./plugin.so", ENOENT));
  m.Apply(m.frames.After(1, v1::OP_LOAD, "libnot.so", ENOENT));
  CHECK(m.Kinds(1, "/lib/libz.so.1") == (kRead | kLoaded));
  CHECK(m.Kinds(1, "/src/plugin.so") == kMissing);
  CHECK(m.Kinds(1, "/src/libnot.so") == 0);
}

TEST_CASE("Descriptors are followed through dup, fcntl, close and freopen") {
  Model m;
  m.Apply(m.frames.Open(1, "/d", O_RDONLY | O_DIRECTORY, 5, S_IFDIR));
  m.Apply(m.frames.OnFd(1, v1::OP_DUP, 5, 8));
  m.Apply(m.frames.OnFd(1, v1::OP_CLOSE, 5));
  const auto stat_at = [&](int fd, const std::string& name) {
    v1::Frame stat = m.frames.After(1, v1::OP_STAT, name);
    stat.mutable_after()->set_fd(fd);
    m.Apply(stat);
    return m.Kinds(1, "/d/" + name);
  };
  CHECK(stat_at(8, "a") == kChecked);
  CHECK(stat_at(5, "b") == 0);
  v1::Frame dup = m.frames.OnFd(1, v1::OP_FCNTL, 8, 9);
  dup.mutable_after()->set_flags(F_DUPFD_CLOEXEC);
  m.Apply(dup);
  CHECK(stat_at(9, "c") == kChecked);
  v1::Frame pipe = m.frames.OnFd(1, v1::OP_NEW_FD, AT_FDCWD, 9);
  pipe.mutable_after()->set_fd2(10);
  m.Apply(pipe);
  CHECK(stat_at(9, "d") == 0);
  v1::Frame close = m.frames.OnFd(1, v1::OP_CLOSE_RANGE, 3);
  close.mutable_after()->set_fd2(-1);
  m.Apply(close);
  CHECK(stat_at(8, "e") == 0);
  m.Apply(m.frames.Open(1, "log1", O_WRONLY, 5));
  v1::Frame reopen = m.frames.After(1, v1::OP_REOPEN, "log2");
  reopen.mutable_after()->set_flags(O_WRONLY | O_CREAT | O_TRUNC);
  reopen.mutable_after()->set_fd2(5);
  reopen.mutable_after()->set_result(5);
  m.Apply(reopen);
  m.Apply(m.frames.OnFd(1, v1::OP_CHMOD, 5));
  CHECK(m.Kinds(1, "/src/log2") == (kWritten | kAttributes));
  CHECK(m.Kinds(1, "/src/log1") == kWritten);
}

TEST_CASE("Calls are counted by function") {
  Model m;
  m.Apply(m.frames.After(1, v1::OP_STAT, "a"));
  m.Apply(m.frames.After(1, v1::OP_STAT, "b", ENOENT));
  m.Apply(m.frames.Exec(1, "/bin/x"));
  m.Apply(m.frames.After(1, v1::OP_EXEC, "/bin/x", ENOENT));
  CHECK(m.trace.calls[v1::OP_STAT] == 2);
  CHECK(m.trace.calls[v1::OP_EXEC] == 1);
  CHECK(m.trace.events == 5);
}

}  // namespace
}  // namespace ocpwatch
