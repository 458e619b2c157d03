// The calls by which the store changes the disk, behind an interface: a disk is full, or fails, at the Nth of them, and
// a test says which. SQLite has its own (a VFS), where tests put themselves in the same way.
//
// As the system calls: -1 and errno. Thread-safe.
#ifndef OCPWATCH_DAEMON_STORE_FILE_SYSTEM_H_
#define OCPWATCH_DAEMON_STORE_FILE_SYSTEM_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace ocpwatch {

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  // Lives for ever.
  static FileSystem* Real();

  // A new file, to be read and written; EEXIST if there is one.
  virtual int Create(const std::string& path, uint32_t mode);
  virtual ssize_t Write(int fd, const void* bytes, size_t size);
  // `to` shares the blocks of `from`, where the file system can do that.
  virtual int Clone(int from, int to);
  virtual int Rename(const std::string& from, const std::string& to);
  virtual int MakeDirectory(const std::string& path);
  // Begins to write what is dirty, so that many files are written at once when they are synced one by one.
  virtual void StartSync(int fd);
  virtual int Sync(int fd);
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_STORE_FILE_SYSTEM_H_
