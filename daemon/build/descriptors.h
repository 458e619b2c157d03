// Which descriptors a program finds open at its start: a part of what is known about it before it runs, and the place
// where its words go.
//
// Read from /proc of a process that waits in the hook of its exec, so that nothing changes meanwhile; for a spawn from
// its parent's, with the file actions applied.
#ifndef OCPWATCH_DAEMON_BUILD_DESCRIPTORS_H_
#define OCPWATCH_DAEMON_BUILD_DESCRIPTORS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/session/process_table.h"
#include "ocpwatch/v1/action.pb.h"

namespace ocpwatch {

struct OpenDescriptor {
  enum class Kind { kFile, kDirectory, kPipe, kTerminal, kNull, kSocket, kOther };
  int32_t fd = -1;         // In the program.
  int32_t source_fd = -1;  // The same description in the process that waits; -1: it is opened by a file action.
  Kind kind = Kind::kOther;
  uint64_t dev = 0;
  uint64_t ino = 0;  // Of a terminal its device number.
  std::string path;  // Of files and directories. Of a file without a name what Fingerprint.Inherited says of it.
  uint64_t offset = 0;
  uint32_t flags = 0;  // As in open(2).
  bool close_on_exec = false;
  bool shared = false;  // A file that whoever starts the program reads on from.

  bool readable() const { return (flags & 3) != 1; }
  bool writable() const { return (flags & 3) != 0; }
  bool SameAs(const OpenDescriptor& other) const { return kind == other.kind && dev == other.dev && ino == other.ino; }
};

// What a status says of a descriptor: kind, dev and ino.
OpenDescriptor FromStat(const v1::FileStat& stat);
// All of `pid`, in the order of the numbers. Measured: 25 us for ten descriptors.
std::vector<OpenDescriptor> DescriptorsOf(int32_t pid);
// What a program that process `pid` with `open` executes gets. A standard input that has ended counts as kNull: make -j
// gives one of its jobs the one that it has, and a pipe without a writer to all others.
std::vector<OpenDescriptor> AfterExec(int32_t pid, std::vector<OpenDescriptor> open);
// What posix_spawn's child has before its exec.
std::vector<OpenDescriptor> AfterActions(std::vector<OpenDescriptor> open, const std::vector<SpawnAction>& actions,
                                         const std::string& cwd);

// Gives those that are open for reading and have lost their names, or never had one, the digest of their content for
// one. False if that cannot be had.
bool NameNameless(int32_t pid, std::vector<OpenDescriptor>* open);

// A path that names an open descriptor: "/dev/stdin", "/dev/fd/3", "/proc/self/fd/3". `own`: of process `pid`.
struct DescriptorName {
  int32_t fd = -1;
  bool own = false;
};
std::optional<DescriptorName> DescriptorNamed(std::string_view name, int32_t pid);

// As the fingerprint says it: the first three, files, and what is the same as one of the first three. Other pipes and
// sockets count only if they are used, and then the action is not reused.
void Describe(const std::vector<OpenDescriptor>& open, v1::Fingerprint* key);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_DESCRIPTORS_H_
