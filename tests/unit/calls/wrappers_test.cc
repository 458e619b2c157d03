// The generated wrappers, around this program's own libc calls and with a channel of our own behind them.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "preload/runtime/call.h"
#include "preload/runtime/reads.h"
#include "real_calls.h"

namespace ocpwatch {
namespace {

// What a wrapper told, with copies of what it pointed at.
struct Told {
  bool before = false;
  Call call;
  std::string path;
  std::string path2;
  std::string result_path;
};

Behaviour wanted = Behaviour::kOff;
std::vector<Told> told;

std::string Text(const char* text) { return text == nullptr ? "(null)" : text; }

// Records one piece of code. Catch2's own calls around it stay untold.
class Recording {
 public:
  explicit Recording(Behaviour behaviour = Behaviour::kAfter) {
    told.clear();
    wanted = behaviour;
  }
  ~Recording() { wanted = Behaviour::kOff; }
};

long RawCall(long number, const long (&arguments)[6]) {
  switch (number) {
#include "raw_syscalls.inc"
    default:
      return -2;
  }
}

}  // namespace

Behaviour BehaviourFor(FunctionId) {
  if (real.open == nullptr) ResolveRealCalls();
  return wanted;
}

void RecordBefore(Call& call, Behaviour behaviour) {
  if (behaviour < Behaviour::kBeforeAndAfter) return;
  told.push_back({true, call, Text(call.path), Text(call.path2), ""});
  call.id = 7;
}

void RecordAfter(const Call& call) {
  const bool faulty = call.error == EFAULT;  // As the real channel.
  std::string result_path;
  if (call.result_path != nullptr) {
    result_path = call.result_path_size < 0 ? std::string(call.result_path)
                                            : std::string(call.result_path, static_cast<size_t>(call.result_path_size));
  }
  told.push_back({false, call, faulty ? "" : Text(call.path), faulty ? "" : Text(call.path2), result_path});
}

// Reads are told each here; reads.h is tested with the library.
std::atomic<uint64_t> settled_reads[kSettledDescriptors / 64];
bool in_build_session = false;
Behaviour BehaviourForRead(FunctionId function, int) { return BehaviourFor(function); }
void SettleReads(int) {}
void ForgetReadsNow(unsigned, unsigned) {}
void HoldForOutputs(const Call&) {}

namespace {

// stat, through a pointer that the compiler knows nothing of: the header forbids what is passed here.
int (*volatile stat_of)(const char*, struct stat*) = &stat;

TEST_CASE("A function that is off goes straight through") {
  Recording recording(Behaviour::kOff);
  const int fd = open("/dev/null", O_RDONLY);
  close(fd);
  CHECK(fd >= 0);
  CHECK(told.empty());
}

TEST_CASE("An open for reading is told with its arguments, its result and the descriptor to look at") {
  int fd;
  {
    Recording recording;
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  }
  REQUIRE(told.size() == 1);
  CHECK(told[0].call.function == FunctionId::kOpen);
  CHECK(told[0].path == "/dev/null");
  CHECK(told[0].call.fd == AT_FDCWD);
  CHECK(told[0].call.flags == (O_RDONLY | O_CLOEXEC));
  CHECK(told[0].call.result == fd);
  CHECK(told[0].call.error == 0);
  CHECK(told[0].call.stat_fd == fd);
  CHECK(told[0].call.mode == 0);
  close(fd);
}

TEST_CASE("The mode of an open is read only where there is one, and only reads are looked at") {
  char directory[] = "/tmp/wrappers-XXXXXX";
  REQUIRE(mkdtemp(directory) != nullptr);
  const std::string path = std::string(directory) + "/x";
  int fd;
  {
    Recording recording;
    fd = open64(path.c_str(), O_WRONLY | O_CREAT, 0640);
  }
  REQUIRE(told.size() == 1);
  CHECK(told[0].call.function == FunctionId::kOpen);
  CHECK(told[0].call.mode == 0640);
  CHECK(told[0].call.stat_fd == -1);
  struct stat status;
  CHECK(fstat(fd, &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
  close(fd);
  unlink(path.c_str());
  rmdir(directory);
}

TEST_CASE("In a build session an open waits for an answer only if it may change a file, and is then looked at") {
  in_build_session = true;
  char directory[] = "/tmp/wrappers-XXXXXX";
  REQUIRE(mkdtemp(directory) != nullptr);
  const std::string path = std::string(directory) + "/x";
  const auto asked = [&](auto open_it) {
    Recording recording(Behaviour::kSynchronous);
    open_it();
    REQUIRE(!told.empty());
    CHECK(told.back().call.stat_fd >= 0);
    return told.front().before;
  };
  CHECK(asked([&] { return creat(path.c_str(), 0600); }));
  CHECK_FALSE(asked([&] { return open(path.c_str(), O_RDONLY); }));
  CHECK(asked([&] { return open(path.c_str(), O_WRONLY); }));
  CHECK(asked([&] { return open(path.c_str(), O_RDWR); }));
  CHECK(asked([&] { return openat(AT_FDCWD, path.c_str(), O_RDONLY | O_CREAT, 0600); }));
  CHECK(asked([&] { return openat(AT_FDCWD, path.c_str(), O_RDONLY | O_TRUNC); }));
  CHECK_FALSE(asked([&] { return fopen(path.c_str(), "r"); }));
  CHECK(asked([&] { return fopen(path.c_str(), "r+"); }));
  CHECK(asked([&] { return fopen(path.c_str(), "a"); }));
  FILE* const stream = fopen("/dev/null", "r");
  CHECK(asked([&] { return freopen(path.c_str(), "w", stream); }));
  in_build_session = false;
  CHECK(asked([&] { return open(path.c_str(), O_RDONLY); }));
  unlink(path.c_str());
  rmdir(directory);
}

TEST_CASE("A status goes along with a stat that has filled it") {
  struct stat status;
  struct statx extended;
  Recording recording;
  CHECK(stat("/", &status) == 0);
  CHECK(fstatat(AT_FDCWD, "/nowhere", &status, 0) == -1);
  CHECK(statx(AT_FDCWD, "/", 0, STATX_BASIC_STATS, &extended) == 0);
  REQUIRE(told.size() == 3);
  CHECK(told[0].call.status == &status);
  CHECK(told[1].call.status == nullptr);
  CHECK(told[2].call.statx == &extended);
}

TEST_CASE("A failed call is told with its errno, and leaves it") {
  Recording recording;
  errno = 0;
  CHECK(open("/nowhere/at/all", O_RDONLY) == -1);
  CHECK(errno == ENOENT);
  REQUIRE(told.size() == 1);
  CHECK(told[0].call.result == -1);
  CHECK(told[0].call.error == ENOENT);
  CHECK(told[0].call.stat_fd == -1);
}

TEST_CASE("A call that succeeds leaves errno as it was") {
  Recording recording;
  errno = EDOM;
  FILE* stream = fopen("/dev/null", "r");
  CHECK(errno == EDOM);
  fclose(stream);
  CHECK(errno == EDOM);
}

TEST_CASE("Null and wild paths reach the kernel and come back as EFAULT") {
  Recording recording;
  struct stat status;
  CHECK(stat_of(nullptr, &status) == -1);
  CHECK(errno == EFAULT);
  CHECK(stat_of(reinterpret_cast<const char*>(16), &status) == -1);
  CHECK(errno == EFAULT);
  REQUIRE(told.size() == 2);
  CHECK(told[1].call.error == EFAULT);
}

TEST_CASE("A call told before and after carries one id") {
  Recording recording(Behaviour::kBeforeAndAfter);
  struct stat status;
  CHECK(lstat("/", &status) == 0);
  REQUIRE(told.size() == 2);
  CHECK(told[0].before);
  CHECK(told[0].call.flags == AT_SYMLINK_NOFOLLOW);
  CHECK(!told[1].before);
  CHECK(told[1].call.id == 7);
}

TEST_CASE("A close is told before the descriptor is free for others") {
  int fds[2];
  REQUIRE(pipe(fds) == 0);
  FILE* stream = fdopen(fds[0], "r");
  {
    Recording recording;
    fclose(stream);
    close(fds[1]);
    close(-1);
  }
  REQUIRE(told.size() == 2);
  CHECK(told[0].call.function == FunctionId::kFclose);
  CHECK(told[0].call.fd == fds[0]);
  CHECK(told[1].call.fd == fds[1]);
}

TEST_CASE("Streams and directories are told by their descriptors") {
  FILE* stream;
  DIR* directory;
  {
    Recording recording;
    stream = fopen("/dev/null", "r+e");
    directory = opendir("/");
  }
  REQUIRE(told.size() == 2);
  CHECK(told[0].call.flags == (O_RDWR | O_CLOEXEC));
  CHECK(told[0].call.result == fileno(stream));
  CHECK(told[1].call.result == dirfd(directory));
  const int fd = dirfd(directory);
  {
    Recording recording;
    stream = freopen("/dev/zero", "w", stream);
    closedir(directory);
  }
  REQUIRE(told.size() == 2);
  CHECK(told[0].call.fd2 == fileno(stream));
  CHECK(told[0].call.flags == (O_WRONLY | O_CREAT | O_TRUNC));
  CHECK(told[1].call.fd == fd);
  fclose(stream);
}

TEST_CASE("A temporary file is told by the name that it got, and a failed one by the last that was tried") {
  char name[] = "/tmp/wrappers-XXXXXX";
  char nowhere[] = "/nowhere/wrappers-XXXXXX";
  {
    Recording recording;
    close(mkstemp(name));
    mkstemp(nowhere);
  }
  REQUIRE(told.size() == 3);
  CHECK(told[0].result_path == name);
  CHECK(told[0].path == "(null)");
  CHECK(told[2].call.error == ENOENT);
  CHECK(told[2].path == nowhere);
  unlink(name);
}

TEST_CASE("A link's target is told in its length") {
  Recording recording;
  char target[4096];
  const ssize_t size = readlink("/proc/self/cwd", target, sizeof(target));
  REQUIRE(told.size() == 1);
  CHECK(told[0].result_path == std::string(target, static_cast<size_t>(size)));
  CHECK(told[0].call.result == size);
}

TEST_CASE("A resolved path is told, also where libc allocates it") {
  Recording recording;
  char* resolved = realpath("/usr/../usr", nullptr);
  REQUIRE(told.size() == 1);
  CHECK(told[0].result_path == "/usr");
  CHECK(told[0].call.result == 0);
  free(resolved);
}

pid_t ForkExiting(int status) {
  const pid_t pid = fork();
  if (pid == 0) _exit(status);
  return pid;
}

TEST_CASE("A child's end is told even if nobody asks for the status") {
  pid_t pid = ForkExiting(3);
  {
    Recording recording;
    CHECK(waitpid(pid, nullptr, 0) == pid);
  }
  REQUIRE(told.size() == 1);
  CHECK(told[0].call.result == pid);
  CHECK(told[0].call.value == 3 << 8);
  pid = ForkExiting(4);
  siginfo_t info;
  {
    Recording recording;
    CHECK(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) == 0);
  }
  REQUIRE(told.size() == 1);
  CHECK(told[0].call.result == pid);
  CHECK(told[0].call.value == 4 << 8);
  pid = ForkExiting(5);
  {
    Recording recording;
    CHECK(waitid(P_PID, static_cast<id_t>(pid), nullptr, WEXITED) == 0);
  }
  REQUIRE(told.size() == 1);
  CHECK(told[0].call.value == 5 << 8);
}

TEST_CASE("Both ends of a pipe are told") {
  int fds[2];
  {
    Recording recording;
    REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
  }
  REQUIRE(told.size() == 1);
  CHECK(told[0].call.result == fds[0]);
  CHECK(told[0].call.fd2 == fds[1]);
  CHECK(told[0].call.flags == O_CLOEXEC);
  close(fds[0]);
  close(fds[1]);
}

TEST_CASE("An errno that is returned is told as one") {
  Recording recording;
  errno = EDOM;
  CHECK(posix_fallocate(-1, 0, 1) == EBADF);
  CHECK(errno == EDOM);
  REQUIRE(told.size() == 1);
  CHECK(told[0].call.error == EBADF);
}

TEST_CASE("File actions are told with their object") {
  Recording recording;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "out", O_WRONLY | O_CREAT, 0666);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawn_file_actions_destroy(&actions);
  REQUIRE(told.size() == 4);
  for (const Told& one : told) CHECK(one.call.object == reinterpret_cast<uint64_t>(&actions));
  CHECK(told[1].path == "out");
  CHECK(told[1].call.fd == 1);
  CHECK(told[2].call.fd2 == 2);
}

TEST_CASE("The path of a socket is told, and a bad address is left to the kernel") {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof(address.sun_path), "/nowhere/socket");
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  Recording recording;
  CHECK(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == -1);
  CHECK(connect(fd, reinterpret_cast<sockaddr*>(16), sizeof(address)) == -1);
  CHECK(errno == EFAULT);
  close(fd);
  REQUIRE(told.size() == 3);
  CHECK(told[0].path == "/nowhere/socket");
  CHECK(told[0].call.error == ENOENT);
}

TEST_CASE("System calls by number go the way of their functions") {
  Recording recording;
  const long path = reinterpret_cast<long>("/dev/null");
  const long fd = RawCall(SYS_openat, {AT_FDCWD, path, O_RDONLY, 0, 0, 0});
  CHECK(fd >= 0);
  CHECK(RawCall(SYS_faccessat, {AT_FDCWD, path, R_OK, 12345, 0, 0}) == 0);
  CHECK(RawCall(SYS_close, {fd, 0, 0, 0, 0, 0}) == 0);
  CHECK(RawCall(SYS_getpid, {0, 0, 0, 0, 0, 0}) == -2);
  REQUIRE(told.size() == 3);
  CHECK(told[0].call.function == FunctionId::kOpenat);
  CHECK(told[1].call.function == FunctionId::kFaccessat);
  CHECK(told[1].call.flags == 0);
  CHECK(told[2].call.function == FunctionId::kClose);
}

}  // namespace
}  // namespace ocpwatch
