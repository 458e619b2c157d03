#include "daemon/report/call_flags.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ocpwatch {
namespace {

struct FlagName {
  uint32_t flag;
  const char* name;
};
constexpr FlagName kOpenFlags[] = {
    {O_CREAT, "O_CREAT"},       {O_EXCL, "O_EXCL"},           {O_TRUNC, "O_TRUNC"},       {O_APPEND, "O_APPEND"},
    {O_TMPFILE, "O_TMPFILE"},   {O_DIRECTORY, "O_DIRECTORY"}, {O_NOFOLLOW, "O_NOFOLLOW"}, {O_CLOEXEC, "O_CLOEXEC"},
    {O_NONBLOCK, "O_NONBLOCK"}, {O_NOCTTY, "O_NOCTTY"},       {O_PATH, "O_PATH"},         {O_SYNC, "O_SYNC"},
};

constexpr FlagName kAtFlags[] = {
    {AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"},
    {AT_SYMLINK_FOLLOW, "AT_SYMLINK_FOLLOW"},
    {AT_REMOVEDIR, "AT_REMOVEDIR"},
    {AT_EMPTY_PATH, "AT_EMPTY_PATH"},
    {AT_NO_AUTOMOUNT, "AT_NO_AUTOMOUNT"},
};

}  // namespace

std::string HexText(uint32_t flags) { return absl::StrCat("0x", absl::Hex(flags)); }

std::string OpenFlags(uint32_t flags) {
  static constexpr const char* kAccess[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "3"};
  std::string text = kAccess[flags & O_ACCMODE];
  flags &= ~static_cast<uint32_t>(O_ACCMODE);
  // O_TMPFILE holds O_DIRECTORY, O_SYNC others; each name takes its bits.
  for (const FlagName& known : kOpenFlags) {
    const bool is_part_of_tmpfile = known.flag == O_DIRECTORY && (flags & O_TMPFILE) == O_TMPFILE;
    if ((flags & known.flag) != known.flag || is_part_of_tmpfile) continue;
    absl::StrAppend(&text, "|", known.name);
    flags &= ~known.flag;
  }
  if (flags != 0) absl::StrAppend(&text, "|", HexText(flags));
  return text;
}

std::string Octal(uint32_t mode) {
  std::string digits;
  do {
    digits.push_back(static_cast<char>('0' + (mode & 7)));
    mode >>= 3;
  } while (mode != 0);
  digits.push_back('0');
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string AtFlags(uint32_t flags) {
  std::string text;
  for (const FlagName& known : kAtFlags) {
    if ((flags & known.flag) == 0) continue;
    absl::StrAppend(&text, text.empty() ? "" : "|", known.name);
    flags &= ~known.flag;
  }
  if (flags != 0) absl::StrAppend(&text, text.empty() ? "" : "|", HexText(flags));
  return text;
}

std::string AccessMode(uint32_t mode) {
  if (mode == F_OK) return "F_OK";
  if ((mode & ~static_cast<uint32_t>(R_OK | W_OK | X_OK)) != 0) return HexText(mode);
  std::string text;
  if ((mode & R_OK) != 0) text += "|R_OK";
  if ((mode & W_OK) != 0) text += "|W_OK";
  if ((mode & X_OK) != 0) text += "|X_OK";
  return text.substr(1);
}

std::string FcntlCommand(uint32_t command) {
  switch (command) {
    case F_DUPFD:
      return "F_DUPFD";
    case F_DUPFD_CLOEXEC:
      return "F_DUPFD_CLOEXEC";
    case F_GETFD:
      return "F_GETFD";
    case F_SETFD:
      return "F_SETFD";
    case F_GETFL:
      return "F_GETFL";
    case F_SETFL:
      return "F_SETFL";
    default:
      return absl::StrCat(command);
  }
}

}  // namespace ocpwatch
