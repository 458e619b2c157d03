// Where the answer goes: a pipe or file as it is made; a terminal through the pager once it is longer than the screen.
//
// A reader that goes away (head, or a pager that was quit) is no error: closed() then says so, and whoever makes rows
// stops making them.
//
// Not synchronised.
#ifndef OCPWATCH_CLI_OUTPUT_H_
#define OCPWATCH_CLI_OUTPUT_H_

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "cli/render/style.h"

namespace ocpwatch {

class Output {
 public:
  enum class Paging { kNever, kWhenLong };

  // Writes to `fd`, which is not closed. With kWhenLong the pager may take over if `fd` is a terminal.
  explicit Output(int fd, Paging paging = Paging::kNever);
  // For tests: keeps all in `capture`.
  explicit Output(std::string* capture) : capture_(capture) {}
  // Writes what is left and waits for the pager.
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void Write(std::string_view text);
  // Everything so far becomes visible now, on a terminal without the pager.
  void Flush();
  // Nobody reads any more.
  bool closed() const { return closed_; }

 private:
  void StartPager();

  std::string* const capture_ = nullptr;
  int fd_ = -1;
  bool may_page_ = false;
  size_t screen_lines_ = 0;
  size_t lines_ = 0;
  pid_t pager_ = 0;
  bool closed_ = false;
  std::string buffer_;
};

// What `fd` can show: colours on a terminal that is not "dumb", unless NO_COLOR is set; UTF-8 as the locale says.
Style StyleOf(int fd);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_OUTPUT_H_
