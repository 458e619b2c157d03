#include "preload/runtime/environment.h"

#include "preload/runtime/session.h"
#include "preload/runtime/text.h"

namespace ocpwatch {
namespace {

constexpr char kWatchPrefix[] = "OCP_WATCH=";
constexpr char kPreloadPrefix[] = "LD_PRELOAD=";
constexpr size_t kWatchPrefixSize = sizeof kWatchPrefix - 1;
constexpr size_t kPreloadPrefixSize = sizeof kPreloadPrefix - 1;
// The numbers, the token and the separators of OCP_WATCH.
constexpr size_t kWatchFixedSize = kWatchPrefixSize + size_t{6} * 21 + 33 + 2;

bool IsSeparator(char c) { return c == ':' || c == ' '; }

// Reads a decimal number and the ':' behind it.
bool ParseNumber(const char** at, int64_t* number) {
  const char* p = *at;
  int64_t value = 0;
  if (*p < '0' || *p > '9') return false;
  for (; *p >= '0' && *p <= '9'; ++p) {
    value = value * 10 + (*p - '0');
    if (value > UINT32_MAX) return false;
  }
  if (*p != ':') return false;
  *at = p + 1;
  *number = value;
  return true;
}

bool IsHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

const char* BaseName(const char* begin, const char* end) {
  while (end > begin && end[-1] != '/') --end;
  return end;
}

bool IsOurs(const char* begin, const char* end) {
  const char* name = session.library;
  size_t size = session.library_size;
  if (static_cast<size_t>(end - begin) == size && Equal(begin, name, size)) return true;
  const char* ours = BaseName(name, name + size);
  const char* theirs = BaseName(begin, end);
  size = static_cast<size_t>(name + size - ours);
  return size > 0 && static_cast<size_t>(end - theirs) == size && Equal(theirs, ours, size);
}

// Takes out of the list what we put there. True if the variable was there before: an empty one became ":<ours>".
bool CleanPreloadList(char* list) {
  char* from = list;
  char* first_end = const_cast<char*>(FindOrEnd(list, ':'));
  // A runtime that had to be first.
  if (StartsWith(list, "lib") && first_end[0] == ':' && first_end[1] == ':') from = first_end + 2;
  char* to = list;
  bool kept = *from == ':';
  while (*from != 0) {
    char* end = from;
    while (*end != 0 && !IsSeparator(*end)) ++end;
    const bool keep = end == from || !IsOurs(from, end);
    const char separator = *end;
    if (keep) {
      const size_t size = static_cast<size_t>(end - from);
      __builtin_memmove(to, from, size);
      to += size;
      kept = kept || size > 0;
      if (separator != 0) *to++ = separator;
    }
    from = end + (separator != 0 ? 1 : 0);
  }
  // The separator that stood before us.
  if (to > list && IsSeparator(to[-1])) --to;
  *to = 0;
  return kept;
}

bool Contains(const char* list, const char* entry, size_t size) {
  for (const char* at = list; *at != 0;) {
    const char* end = at;
    while (*end != 0 && !IsSeparator(*end)) ++end;
    if (static_cast<size_t>(end - at) == size && Equal(at, entry, size)) return true;
    at = *end != 0 ? end + 1 : end;
  }
  return false;
}

}  // namespace

bool ParseWatchVariable(const char* value, Expected* expected) {
  const char* at = value;
  int64_t protocol = 0, daemon_pid = 0, ring_fd = 0, process = 0, pid = 0, parent_pid = 0;
  if (!ParseNumber(&at, &protocol) || protocol != kProtocol) return false;
  if (!ParseNumber(&at, &daemon_pid) || !ParseNumber(&at, &ring_fd)) return false;
  size_t digits = 0;
  for (; digits < 32 && IsHex(at[digits]); ++digits) session.token_hex[digits] = at[digits];
  if (digits != 32 || at[32] != ':') return false;
  at += 33;
  if (!ParseNumber(&at, &process) || !ParseNumber(&at, &pid) || !ParseNumber(&at, &parent_pid)) return false;
  const size_t path_size = LengthOf(at, sizeof session.socket_path);
  if (path_size >= sizeof session.socket_path) return false;
  Append(session.socket_path, at, path_size + 1);
  session.token_hex[32] = 0;
  session.daemon_pid = static_cast<int>(daemon_pid);
  session.ring_fd = static_cast<int>(ring_fd);
  *expected = {static_cast<uint32_t>(process), static_cast<int>(pid), static_cast<int>(parent_pid)};
  return true;
}

const char* FindWatchVariable(char** environment) {
  if (environment == nullptr) return nullptr;
  for (; *environment != nullptr; ++environment) {
    if (StartsWith(*environment, kWatchPrefix)) return *environment + kWatchPrefixSize;
  }
  return nullptr;
}

void CleanEnvironment(char** environment) {
  char** to = environment;
  for (char** from = environment; *from != nullptr; ++from) {
    if (StartsWith(*from, kWatchPrefix)) continue;
    if (StartsWith(*from, kPreloadPrefix) && !CleanPreloadList(*from + kPreloadPrefixSize)) continue;
    *to++ = *from;
  }
  *to = nullptr;
}

TracedEnvironment::TracedEnvironment(const char* const* environment, const Expected& expected, bool preload,
                                     const char* first)
    : environment_(environment), expected_(expected), first_(preload ? first : nullptr), add_preload_(preload) {
  if (environment_ != nullptr) {
    for (const char* const* at = environment_; *at != nullptr; ++at) {
      ++count_;
      // Of several the loader takes the last.
      if (StartsWith(*at, kPreloadPrefix)) preload_value_ = *at + kPreloadPrefixSize;
    }
  }
  const size_t theirs = preload_value_ != nullptr ? LengthOf(preload_value_, SIZE_MAX) : 0;
  if (preload_value_ != nullptr && Contains(preload_value_, session.library, session.library_size))
    add_preload_ = false;
  if (first_ != nullptr && preload_value_ != nullptr && Contains(preload_value_, first_, LengthOf(first_, PATH_MAX))) {
    first_ = nullptr;
  }
  if (add_preload_) {
    preload_size_ = kPreloadPrefixSize + theirs + 1 + session.library_size + 1;
    if (first_ != nullptr) preload_size_ += LengthOf(first_, PATH_MAX) + 2;
  }
  size_ = (count_ + 3) * sizeof(char*) + kWatchFixedSize + LengthOf(session.socket_path, sizeof session.socket_path) +
          preload_size_;
}

char** TracedEnvironment::Build(void* memory) const {
  char** const result = static_cast<char**>(memory);
  char** slot = result;
  char* text = static_cast<char*>(memory) + (count_ + 3) * sizeof(char*);

  char* const preload = text;
  if (add_preload_) {
    text = Append(text, kPreloadPrefix, kPreloadPrefixSize);
    if (first_ != nullptr) {
      text = Append(text, first_, LengthOf(first_, PATH_MAX));
      text = Append(text, "::", 2);
    }
    if (preload_value_ != nullptr) {
      text = Append(text, preload_value_, LengthOf(preload_value_, SIZE_MAX));
      *text++ = ':';
    }
    text = Append(text, session.library, session.library_size);
    *text++ = 0;
  }

  char* const watch = text;
  text = Append(text, kWatchPrefix, kWatchPrefixSize);
  text = AppendDecimal(text, kProtocol);
  *text++ = ':';
  text = AppendDecimal(text, static_cast<uint64_t>(session.daemon_pid));
  *text++ = ':';
  text = AppendDecimal(text, static_cast<uint64_t>(session.ring_fd));
  *text++ = ':';
  text = Append(text, session.token_hex, 32);
  *text++ = ':';
  text = AppendDecimal(text, expected_.process);
  *text++ = ':';
  text = AppendDecimal(text, static_cast<uint64_t>(expected_.pid));
  *text++ = ':';
  text = AppendDecimal(text, static_cast<uint64_t>(expected_.parent_pid));
  *text++ = ':';
  Append(text, session.socket_path, LengthOf(session.socket_path, sizeof session.socket_path) + 1);

  bool placed = !add_preload_;
  for (size_t i = 0; i < count_; ++i) {
    const char* variable = environment_[i];
    if (StartsWith(variable, kWatchPrefix)) continue;
    if (!placed && variable + kPreloadPrefixSize == preload_value_) {
      *slot++ = preload;
      placed = true;
    } else {
      *slot++ = const_cast<char*>(variable);
    }
  }
  if (!placed) *slot++ = preload;
  *slot++ = watch;
  *slot = nullptr;
  return result;
}

}  // namespace ocpwatch
