#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

extern char** environ;

namespace ocpwatch {
namespace {

// One write of 64 KiB costs what sixteen of a page do.
constexpr size_t kBufferBytes = size_t{64} * 1024;
// The terminal's size where it does not say.
constexpr size_t kDefaultLines = 24;
constexpr size_t kDefaultColumns = 80;

bool LocaleIsUtf8() {
  for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = getenv(variable);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view locale(value);
    const size_t dot = locale.find('.');
    return dot != std::string_view::npos &&
           (strncasecmp(value + dot + 1, "utf-8", 5) == 0 || strncasecmp(value + dot + 1, "utf8", 4) == 0);
  }
  return false;
}

}  // namespace

Output::Output(int fd, Paging paging) : fd_(fd), may_page_(paging == Paging::kWhenLong && isatty(fd)) {
  signal(SIGPIPE, SIG_IGN);  // write() says EPIPE instead.
  winsize size = {};
  screen_lines_ = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : kDefaultLines;
}

Output::~Output() {
  may_page_ = false;
  Flush();
  if (pager_ == 0) return;
  close(fd_);
  while (waitpid(pager_, nullptr, 0) == -1 && errno == EINTR) {
  }
}

void Output::Write(std::string_view text) {
  if (capture_ != nullptr) {
    capture_->append(text);
    return;
  }
  if (closed_) return;
  buffer_.append(text);
  if (may_page_) {
    lines_ += static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
    if (lines_ < screen_lines_) return;
    StartPager();
  }
  if (buffer_.size() >= kBufferBytes) Flush();
}

void Output::Flush() {
  may_page_ = false;
  size_t done = 0;
  while (done < buffer_.size() && !closed_) {
    const ssize_t wrote = write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (wrote >= 0) {
      done += static_cast<size_t>(wrote);
    } else if (errno != EINTR) {
      closed_ = true;
    }
  }
  buffer_.clear();
}

void Output::StartPager() {
  may_page_ = false;
  const char* chosen = getenv("PAGER");
  const std::string pager = chosen != nullptr ? chosen : "less";
  if (pager.empty() || pager == "cat") return;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return;
  setenv("LESS", "FRX", 0);  // As git does: colours pass, a short text ends by itself, the screen is left as it was.
  setenv("LV", "-c", 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  std::string shell = "sh", option = "-c", script = pager;
  char* argv[] = {shell.data(), option.data(), script.data(), nullptr};
  pid_t pid = 0;
  const int error = posix_spawn(&pid, "/bin/sh", &actions, &attributes, argv, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[0]);
  if (error != 0) {
    close(ends[1]);
    return;
  }
  pager_ = pid;
  fd_ = ends[1];
  // Ctrl-C is the pager's while it runs.
  signal(SIGINT, SIG_IGN);
  signal(SIGQUIT, SIG_IGN);
}

Style StyleOf(int fd) {
  Style style;
  style.utf8 = LocaleIsUtf8();
  if (!isatty(fd)) return style;
  winsize size = {};
  style.width = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kDefaultColumns;
  style.brief = true;
  const char* no_color = getenv("NO_COLOR");
  const char* terminal = getenv("TERM");
  style.colors =
      (no_color == nullptr || *no_color == '\0') && terminal != nullptr && std::string_view(terminal) != "dumb";
  return style;
}

}  // namespace ocpwatch
