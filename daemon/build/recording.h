// What a command has written, as it comes: in memory up to a bound, beyond it in a file without a name.
//
// Not synchronised.
#ifndef OCPWATCH_DAEMON_BUILD_RECORDING_H_
#define OCPWATCH_DAEMON_BUILD_RECORDING_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/ingest/unique_fd.h"

namespace ocpwatch {

// Compilers' warnings stay in memory; of a make -j16 with as many levels of sub-commands that are 8 MB at most.
inline constexpr size_t kMaxRecordingInMemory = size_t{256} << 10;
// More than this nobody replays, and the disk is not ours.
inline constexpr uint64_t kMaxRecording = uint64_t{1} << 30;

class Recording {
 public:
  // A file is made in `directory` if one is needed.
  explicit Recording(std::string directory) : directory_(std::move(directory)) {}

  void Append(std::string_view bytes);
  // Nothing is kept from here on.
  void GiveUp();

  uint64_t size() const { return size_; }
  // False: it is not whole, because the disk was full or it got too long. Nothing is kept of it then.
  bool whole() const { return whole_; }
  // All of it, or nothing where it is in the file.
  std::string TakeBytes() { return std::move(bytes_); }
  UniqueFd TakeFile() { return std::move(file_); }

 private:
  bool Spill(std::string_view bytes);

  const std::string directory_;
  std::string bytes_;
  UniqueFd file_;
  uint64_t size_ = 0;
  bool whole_ = true;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_RECORDING_H_
