// A disk that fails: the Nth call by which the store, or its SQLite, changes something ends with an error.
#ifndef OCPWATCH_TESTS_UNIT_STORE_FAULTS_H_
#define OCPWATCH_TESTS_UNIT_STORE_FAULTS_H_

#include <atomic>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "daemon/store/file_system.h"

namespace ocpwatch {

class Faults final : public FileSystem {
 public:
  // Puts itself before SQLite's own VFS too. One at a time.
  Faults();
  ~Faults() override;

  // The `nth` call from now on, counted from 1, fails with `error` (ENOSPC or EIO); `for_good`: all after it too.
  void Arm(int nth, int error, bool for_good);
  void Disarm() { Arm(0, 0, false); }
  bool fired() const { return fired_; }
  // What was done: "write", "sync", "database write", "database sync"...
  std::vector<std::string> calls();

  // 0, or the error of this call.
  int Next(const char* what);

  int Create(const std::string& path, uint32_t mode) override;
  ssize_t Write(int fd, const void* bytes, size_t size) override;
  int Rename(const std::string& from, const std::string& to) override;
  int MakeDirectory(const std::string& path) override;
  int Sync(int fd) override;

 private:
  bool Fails(const char* what);

  absl::Mutex mutex_;
  int left_ = 0;
  int error_ = 0;
  bool for_good_ = false;
  std::atomic<bool> fired_ = false;
  std::vector<std::string> calls_;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_TESTS_UNIT_STORE_FAULTS_H_
