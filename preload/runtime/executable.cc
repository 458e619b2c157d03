#include "preload/runtime/executable.h"

#include <elf.h>

#include "preload/runtime/plain_executables.h"
#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"

namespace ocpwatch {
namespace {

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
constexpr char kLoader[] = "ld-linux-x86-64.so.2";
#else
constexpr uint16_t kMachine = EM_AARCH64;
constexpr char kLoader[] = "ld-linux-aarch64.so.1";
#endif

// What the kernel follows of scripts whose interpreters are scripts.
constexpr int kScriptDepth = 4;
// The ELF header and the program headers of usual executables (13 of 56 bytes).
constexpr size_t kHeadSize = 1024;
constexpr int kMaxProgramHeaders = 64;
constexpr size_t kNotesSize = 256;
constexpr size_t kDynamicEntries = 64;
// The compilers put a runtime that has to be first in front of everything else.
constexpr int kFirstLibraries = 2;

// Bytes of a file at an offset: from what has been read already, if they are there.
class Window {
 public:
  explicit Window(int fd) : fd_(fd) {
    const long size = RawPread(fd, head_, sizeof head_, 0);
    size_ = Failed(size) ? 0 : static_cast<size_t>(size);
  }
  int fd() const { return fd_; }
  const unsigned char* head() const { return head_; }
  size_t head_size() const { return size_; }

  // Copies up to `size` bytes; returns how many there are.
  size_t Read(uint64_t offset, void* to, size_t size) const {
    if (offset <= size_ && size <= size_ - offset) {
      __builtin_memcpy(to, head_ + offset, size);
      return size;
    }
    const long read = RawPread(fd_, to, size, offset);
    return Failed(read) ? 0 : static_cast<size_t>(read);
  }

 private:
  int fd_;
  size_t size_ = 0;
  alignas(8) unsigned char head_[kHeadSize];
};

// A library's name starts like this if it is a runtime that has to come first.
bool MustBeFirst(const char* name) {
  for (const char* prefix : {"libasan.so", "libtsan.so", "libhwasan.so", "libclang_rt.asan", "libclang_rt.tsan"}) {
    if (StartsWith(name, prefix)) return true;
  }
  return false;
}

bool HasGoNote(const Window& file, const Elf64_Phdr& note) {
  alignas(4) unsigned char data[kNotesSize];
  const size_t size = file.Read(note.p_offset, data, note.p_filesz < sizeof data ? note.p_filesz : sizeof data);
  for (size_t at = 0; at + sizeof(Elf64_Nhdr) + 4 <= size;) {
    Elf64_Nhdr header;
    __builtin_memcpy(&header, data + at, sizeof header);
    const unsigned char* owner = data + at + sizeof header;
    if (header.n_namesz == 4 && owner[0] == 'G' && owner[1] == 'o' && owner[2] == 0) return true;
    const uint64_t step =
        sizeof header + (uint64_t{header.n_namesz} + 3) / 4 * 4 + (uint64_t{header.n_descsz} + 3) / 4 * 4;
    if (step > size - at) break;
    at += step;
  }
  return false;
}

// The file offset of an address in memory; 0 if there is none.
uint64_t OffsetOf(uint64_t address, const Elf64_Phdr* headers, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const Elf64_Phdr& header = headers[i];
    if (header.p_type == PT_LOAD && address >= header.p_vaddr && address - header.p_vaddr < header.p_filesz) {
      return address - header.p_vaddr + header.p_offset;
    }
  }
  return 0;
}

void FindFirstLibrary(const Window& file, const Elf64_Phdr& dynamic, const Elf64_Phdr* headers, size_t count,
                      Executable* result) {
  Elf64_Dyn entries[kDynamicEntries];
  const size_t wanted = dynamic.p_filesz < sizeof entries ? dynamic.p_filesz : sizeof entries;
  const size_t number = file.Read(dynamic.p_offset, entries, wanted) / sizeof entries[0];
  uint64_t strings = 0;
  for (size_t i = 0; i < number && entries[i].d_tag != DT_NULL; ++i) {
    if (entries[i].d_tag == DT_STRTAB) strings = OffsetOf(entries[i].d_un.d_ptr, headers, count);
  }
  if (strings == 0) return;
  int looked_at = 0;
  for (size_t i = 0; i < number && entries[i].d_tag != DT_NULL && looked_at < kFirstLibraries; ++i) {
    if (entries[i].d_tag != DT_NEEDED) continue;
    ++looked_at;
    char name[sizeof result->first_library] = "";
    const size_t size = file.Read(strings + entries[i].d_un.d_val, name, sizeof name - 1);
    name[size] = 0;
    if (!MustBeFirst(name)) continue;
    Append(result->first_library, name, LengthOf(name, sizeof name - 1) + 1);
    return;
  }
}

void ClassifyElf(const Window& file, Executable* result) {
  Elf64_Ehdr elf;
  __builtin_memcpy(&elf, file.head(), sizeof elf);
  if (elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_ident[EI_DATA] != ELFDATA2LSB || elf.e_machine != kMachine) {
    result->opaque = Opaque::kOtherClass;
    result->preload = false;
    return;
  }
  if (elf.e_phentsize != sizeof(Elf64_Phdr)) return;  // The kernel will refuse it.
  Elf64_Phdr headers[kMaxProgramHeaders];
  size_t count = elf.e_phnum < kMaxProgramHeaders ? elf.e_phnum : kMaxProgramHeaders;
  count = file.Read(elf.e_phoff, headers, count * sizeof headers[0]) / sizeof headers[0];
  const Elf64_Phdr* interpreter = nullptr;
  const Elf64_Phdr* dynamic = nullptr;
  bool go = false;
  for (size_t i = 0; i < count; ++i) {
    if (headers[i].p_type == PT_INTERP) interpreter = &headers[i];
    if (headers[i].p_type == PT_DYNAMIC) dynamic = &headers[i];
    if (headers[i].p_type == PT_NOTE && HasGoNote(file, headers[i])) go = true;
  }
  if (go) result->opaque = Opaque::kGo;
  if (interpreter == nullptr) {
    result->executable = true;
    if (!go) result->opaque = Opaque::kStatic;
    return;
  }
  char loader[256];
  const size_t wanted = interpreter->p_filesz < sizeof loader ? interpreter->p_filesz : sizeof loader - 1;
  const size_t size = file.Read(interpreter->p_offset, loader, wanted);
  constexpr size_t kLoaderSize = sizeof kLoader;  // With its NUL.
  if (size < kLoaderSize + 1 || !Equal(loader + size - kLoaderSize, kLoader, kLoaderSize) ||
      loader[size - kLoaderSize - 1] != '/') {
    if (!go) result->opaque = Opaque::kOtherLibc;
    result->preload = false;
    return;
  }
  result->executable = true;
  if (dynamic != nullptr) FindFirstLibrary(file, *dynamic, headers, count, result);
}

// Whether the exec gives other rights, so that the loader ignores LD_PRELOAD.
Opaque GainsRights(int fd, const struct stat& status) {
  if ((status.st_mode & S_ISUID) != 0 && status.st_uid != static_cast<uid_t>(RawSyscall(SYS_geteuid)))
    return Opaque::kSetuid;
  constexpr mode_t kSetgid = S_ISGID | S_IXGRP;
  if ((status.st_mode & kSetgid) == kSetgid && status.st_gid != static_cast<gid_t>(RawSyscall(SYS_getegid)))
    return Opaque::kSetuid;
  if (RawSyscall(SYS_getuid) == 0) return Opaque::kNone;  // Root gains nothing by capabilities.
  char value[32];
  const long size = RawSyscall(SYS_fgetxattr, fd, AsWord("security.capability"), AsWord(value), sizeof value);
  return Failed(size) ? Opaque::kNone : Opaque::kCapabilities;
}

// The loader may be executed itself, with a program as its argument, and then preloads.
bool IsLoader(const char* path) {
  const size_t size = LengthOf(path, PATH_MAX);
  constexpr size_t kLength = sizeof kLoader - 1;
  return size >= kLength && Equal(path + size - kLength, kLoader, kLength);
}

// Classifies an open file. True if it is a script: then `interpreter` holds the path of its interpreter.
bool ClassifyFile(int fd, const char* path, char (&interpreter)[PATH_MAX / 8], Executable* result) {
  const Window file(fd);
  const unsigned char* head = file.head();
  if (file.head_size() >= 2 && head[0] == '#' && head[1] == '!') {
    size_t at = 2;
    while (at < file.head_size() && (head[at] == ' ' || head[at] == '\t')) ++at;
    size_t size = 0;
    while (at < file.head_size() && size + 1 < sizeof interpreter && head[at] != ' ' && head[at] != '\t' &&
           head[at] != '\n' && head[at] != 0) {
      interpreter[size++] = static_cast<char>(head[at++]);
    }
    interpreter[size] = 0;
    return size > 0;
  }
  if (file.head_size() < sizeof(Elf64_Ehdr) || !Equal(reinterpret_cast<const char*>(head), ELFMAG, SELFMAG))
    return false;
  ClassifyElf(file, result);
  const bool loader = result->opaque == Opaque::kStatic && IsLoader(path);
  if (loader) result->opaque = Opaque::kNone;
  if (result->opaque != Opaque::kNone) return false;
  struct stat status;
  if (Failed(RawFstat(fd, &status))) return false;
  result->opaque = GainsRights(fd, status);
  if (result->opaque == Opaque::kNone && result->executable && result->first_library[0] == 0 && !loader)
    RememberAsPlain(status);
  return false;
}

int OpenExecutable(int dirfd, const char* path, int flags) {
  if (path[0] == 0 && (flags & AT_EMPTY_PATH) != 0) {
    // Not dirfd itself: it may be O_PATH.
    char self[40];
    char* end = Append(self, "/proc/self/fd/", 14);
    end = AppendDecimal(end, static_cast<uint64_t>(dirfd));
    *end = 0;
    return RawOpen(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  }
  return static_cast<int>(RawSyscall(SYS_openat, dirfd, AsWord(path), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

// Fills in all but whether our library can be reached.
void ClassifyPath(int dirfd, const char* path, int flags, Executable* result) {
  char interpreter[PATH_MAX / 8];  // The kernel reads a script's first 256 bytes.
  for (int depth = 0; depth <= kScriptDepth; ++depth) {
    const int fd = OpenExecutable(dirfd, path, flags);
    if (fd < 0) {
      if (depth == 0) result->error = -fd;
      // Executable but not readable: it may well be one that we can live in.
      if (fd == -EACCES && !Failed(RawSyscall(SYS_faccessat, dirfd, AsWord(path), X_OK)))
        result->opaque = Opaque::kUnreadable;
      break;
    }
    const bool script = ClassifyFile(fd, path, interpreter, result);
    RawClose(fd);
    if (!script) break;
    path = interpreter;
    dirfd = AT_FDCWD;
    flags = 0;
  }
}

}  // namespace

void Classify(int dirfd, const char* path, int flags, Executable* result) {
  *result = {};
  if (IsKnownToBePlain(dirfd, path, flags)) {
    result->executable = true;
  } else {
    ClassifyPath(dirfd, path, flags, result);
  }
  if (result->preload && Failed(RawSyscall(SYS_faccessat, AT_FDCWD, AsWord(session.library), R_OK))) {
    result->preload = false;
    if (result->opaque == Opaque::kNone) result->opaque = Opaque::kUnreachable;
  }
}

}  // namespace ocpwatch
