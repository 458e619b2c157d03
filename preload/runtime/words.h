// Writes what a command that is not run would have written, and ends as it would have ended.
//
// The words lie in files. All are opened before the first byte is written, so that the whole can still be refused.
//
// Also linked into ocp-watch-replay, which has no libc: raw system calls only, no memory but its own.
#ifndef OCPWATCH_PRELOAD_RUNTIME_WORDS_H_
#define OCPWATCH_PRELOAD_RUNTIME_WORDS_H_

#include <cstddef>

namespace ocpwatch {

// More pairs of descriptor and path than an answer can hold.
inline constexpr size_t kMostWords = 64;

class WordsWriter {
 public:
  WordsWriter() = default;
  WordsWriter(const WordsWriter&) = delete;
  WordsWriter& operator=(const WordsWriter&) = delete;
  ~WordsWriter();

  // The file at `path` belongs to `fd`. False if it cannot be opened.
  bool Add(int fd, const char* path);

  // Writes all words in the order in which they were added, and ends the process. Where a reader has gone the process
  // dies of SIGPIPE; where that is ignored, or a write fails otherwise, a status of 0 becomes 1, as of a program that
  // could not write.
  [[noreturn]] void WriteAndExit(int status);

 private:
  struct Words {
    int fd;
    int file;
  };
  Words words_[kMostWords];
  size_t count_ = 0;
};

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_WORDS_H_
