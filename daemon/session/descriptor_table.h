// A process's open descriptors, as far as the model needs them: which path each one is.
//
// A descriptor that is no file (a pipe, a socket) is not in the table, nor is one that was open before the session. A
// fork shares the table until one side changes it, so a shell that forks a thousand times copies little.
//
// A hostile program can open many descriptors and fork often; the copies of a session are bounded by DescriptorBudget.
#ifndef OCPWATCH_DAEMON_SESSION_DESCRIPTOR_TABLE_H_
#define OCPWATCH_DAEMON_SESSION_DESCRIPTOR_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/container/btree_map.h"
#include "daemon/session/trace.h"

namespace ocpwatch {

struct Descriptor {
  PathId path = kNoPath;  // kNoPath: a file without a name (O_TMPFILE).
  uint32_t opener = 0;    // The process number that opened it.
  CommandId command = 0;  // The command that opened it.
  bool readable = false;
  bool writable = false;
  bool close_on_exec = false;
  bool directory = false;
};

// Shared by the tables of a session. Outlives them.
struct DescriptorBudget {
  // Entries in all tables together, about 24 bytes each. A build has some hundreds.
  static constexpr size_t kMaxEntries = size_t{4} << 20;
  size_t entries = 0;
  bool exceeded = false;  // Entries have been left out.
};

class DescriptorTable {
 public:
  DescriptorTable() = default;
  explicit DescriptorTable(DescriptorBudget* budget) : budget_(budget) {}

  // Null if `fd` is not known to be a file. Valid until the next change.
  const Descriptor* Find(int64_t fd) const;
  // Negative numbers are ignored.
  void Set(int64_t fd, const Descriptor& descriptor);
  void Close(int64_t fd);
  void CloseRange(uint32_t first, uint32_t last);
  void SetCloseOnExec(int64_t fd, bool close_on_exec);
  void SetCloseOnExecRange(uint32_t first, uint32_t last);
  // `to` becomes what `from` is, or nothing if that is not known to be a file. Nothing happens if they are the same.
  void Duplicate(int64_t from, int64_t to, bool close_on_exec);
  // What an exec does.
  void DropCloseOnExec();
  void Clear() { map_.reset(); }

  // In the order of the numbers: fn(int32_t fd, const Descriptor&).
  template <typename Fn>
  void ForEach(Fn fn) const {
    if (map_ == nullptr) return;
    for (const auto& [fd, descriptor] : map_->entries) fn(fd, descriptor);
  }
  size_t size() const { return map_ == nullptr ? 0 : map_->entries.size(); }

 private:
  struct Map {
    explicit Map(DescriptorBudget* owner) : budget(owner) {}
    ~Map();
    Map(const Map&) = delete;
    Map& operator=(const Map&) = delete;
    absl::btree_map<int32_t, Descriptor> entries;
    DescriptorBudget* const budget;
  };
  Map& Own();  // Ours alone, copied if it was shared.

  DescriptorBudget* budget_ = nullptr;
  std::shared_ptr<Map> map_;  // Null: empty.
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_DESCRIPTOR_TABLE_H_
