#include "daemon/store/file_system.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

namespace ocpwatch {

FileSystem* FileSystem::Real() {
  static FileSystem real;
  return &real;
}

int FileSystem::Create(const std::string& path, uint32_t mode) {
  return open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
}

ssize_t FileSystem::Write(int fd, const void* bytes, size_t size) { return write(fd, bytes, size); }

int FileSystem::Clone(int from, int to) { return ioctl(to, FICLONE, from); }

int FileSystem::Rename(const std::string& from, const std::string& to) { return rename(from.c_str(), to.c_str()); }

int FileSystem::MakeDirectory(const std::string& path) { return mkdir(path.c_str(), 0700); }

void FileSystem::StartSync(int fd) { sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); }

int FileSystem::Sync(int fd) { return fsync(fd); }

}  // namespace ocpwatch
