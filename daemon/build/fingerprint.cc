#include "daemon/build/fingerprint.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "daemon/store/digest.h"

namespace ocpwatch {

namespace {

// What differs from one session, terminal or daemon to the next, and says nothing of the inputs.
constexpr const char* kIgnored[] = {
    "_", "OLDPWD", "SHLVL", "XDG_SESSION_ID", "XDG_ACTIVATION_TOKEN", "DESKTOP_STARTUP_ID", "SESSION_MANAGER",
    "DBUS_SESSION_BUS_ADDRESS", "JOURNAL_STREAM", "INVOCATION_ID", "SYSTEMD_EXEC_PID", "MANAGERPID",
    // Terminals and their windows.
    "GPG_TTY", "TMUX", "TMUX_PANE", "STY", "WINDOWID", "GNOME_TERMINAL_SCREEN", "GNOME_TERMINAL_SERVICE",
    "KONSOLE_DBUS_*", "KITTY_PID", "KITTY_WINDOW_ID", "KITTY_LISTEN_ON", "WEZTERM_PANE", "WEZTERM_UNIX_SOCKET",
    "ALACRITTY_LOG", "ALACRITTY_SOCKET", "ALACRITTY_WINDOW_ID", "TERM_SESSION_ID", "ITERM_SESSION_ID",
    "VSCODE_IPC_HOOK_CLI", "VSCODE_GIT_IPC_HANDLE",
    // Who is logged in from where, and keys.
    "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO",
    // make tells which terminal it writes to; that it is one, does count.
    "MAKE_TERMOUT=/dev/*", "MAKE_TERMERR=/dev/*",
    // How many commands may run at a time, and where their jobserver is.
    "MAKEFLAGS=-j*", "MAKEFLAGS=-l*", "MAKEFLAGS=--jobserver-*", "MFLAGS=-j*", "MFLAGS=-l*", "MFLAGS=--jobserver-*",
    "CARGO_MAKEFLAGS=-j*", "CARGO_MAKEFLAGS=--jobserver-*"};

std::string_view NameOf(std::string_view entry) { return entry.substr(0, entry.find('=')); }
std::string_view ValueOf(std::string_view entry) {
  const size_t equals = entry.find('=');
  return equals == std::string_view::npos ? std::string_view() : entry.substr(equals + 1);
}

// A value may be long and hold anything.
std::string Quoted(std::string_view value) {
  constexpr size_t kShown = 80;
  const bool cut = value.size() > kShown;
  const std::string_view shown = value.substr(0, kShown);
  return absl::StrCat("\"", absl::CHexEscape(absl::string_view(shown.data(), shown.size())), cut ? "...\"" : "\"");
}

// `patterns`: with `*` at the end where any rest may follow.
bool MatchesAny(std::string_view text, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [text](std::string_view pattern) {
    if (!pattern.ends_with('*')) return pattern == text;
    pattern.remove_suffix(1);
    return text.starts_with(pattern);
  });
}

}  // namespace

IgnoredEnvironment::IgnoredEnvironment(const v1::Configuration& configuration) {
  std::vector<std::string> all(std::begin(kIgnored), std::end(kIgnored));
  all.insert(all.end(), configuration.ignored_environment().begin(), configuration.ignored_environment().end());
  for (const std::string& one : all) {
    if (one.find('=') == std::string::npos) {
      names_.push_back(one);
    } else {
      words_[std::string(NameOf(one))].emplace_back(ValueOf(one));
    }
  }
}

bool IgnoredEnvironment::Has(std::string_view entry) const { return MatchesAny(NameOf(entry), names_); }

std::string IgnoredEnvironment::Counted(const std::string& entry) const {
  const auto ignored = words_.find(NameOf(entry));
  if (ignored == words_.end() || entry.size() == ignored->first.size()) return entry;
  std::vector<std::string> counted = absl::StrSplit(std::string(ValueOf(entry)), ' ', absl::SkipEmpty());
  // Behind `--` come values of variables, and behind a backslash the rest of a word: they may begin as they like.
  const auto options = std::find(counted.begin(), counted.end(), "--");
  if (std::any_of(counted.begin(), options, [](const std::string& word) { return word.ends_with('\\'); })) return entry;
  counted.erase(std::remove_if(counted.begin(), options,
                               [&](const std::string& word) { return MatchesAny(word, ignored->second); }),
                options);
  return absl::StrCat(ignored->first, "=", absl::StrJoin(counted, " "));
}

void Settle(const IgnoredEnvironment& ignored, v1::Fingerprint* key) {
  key->set_version(kActionVersion);
  auto& environment = *key->mutable_environment();
  environment.erase(std::remove_if(environment.begin(), environment.end(),
                                   [&](const std::string& entry) { return ignored.Has(entry); }),
                    environment.end());
  for (std::string& entry : environment) entry = ignored.Counted(entry);
  std::sort(environment.begin(), environment.end());
}

std::string FingerprintOf(const v1::Fingerprint& key) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    key.SerializeToCodedStream(&coded);
  }
  const Digest digest = DigestOf(bytes);
  return {reinterpret_cast<const char*>(digest.sha256.data()), digest.sha256.size()};
}

std::string DifferenceOf(const v1::Fingerprint& now, const v1::Fingerprint& then, v1::Decision::Reason* reason,
                         std::string* what) {
  *reason = v1::Decision::REASON_ARGUMENTS;
  if (!std::equal(now.argv().begin(), now.argv().end(), then.argv().begin(), then.argv().end())) {
    return "the arguments differ";
  }
  if (now.cwd() != then.cwd()) return absl::StrCat("the working directory was ", then.cwd());
  *reason = v1::Decision::REASON_EXECUTABLE;
  if (now.executable() != then.executable()) {
    *what = now.executable();
    return absl::StrCat("the program was ", then.executable());
  }
  *reason = v1::Decision::REASON_ENVIRONMENT;
  std::map<std::string_view, std::string_view> old;
  for (const std::string& entry : then.environment()) old[NameOf(entry)] = ValueOf(entry);
  for (const std::string& entry : now.environment()) {
    const auto found = old.find(NameOf(entry));
    *what = std::string(NameOf(entry));
    if (found == old.end()) return absl::StrCat("the variable ", *what, " is new: ", Quoted(ValueOf(entry)));
    if (found->second != ValueOf(entry)) {
      return absl::StrCat("the variable ", *what, " is ", Quoted(ValueOf(entry)), " and was ", Quoted(found->second));
    }
    old.erase(found);
  }
  if (!old.empty()) {
    *what = std::string(old.begin()->first);
    return absl::StrCat("the variable ", *what, " is not set and was ", Quoted(old.begin()->second));
  }
  what->clear();
  *reason = v1::Decision::REASON_OTHER;
  if (now.umask() != then.umask()) return "the umask differs";
  if (!std::equal(now.attributes().begin(), now.attributes().end(), then.attributes().begin(),
                  then.attributes().end())) {
    for (const std::string& line : now.attributes()) {
      const auto& old_lines = then.attributes();
      if (std::find(old_lines.begin(), old_lines.end(), line) == old_lines.end()) {
        return absl::StrCat("a limit or another attribute of the process differs: ", Quoted(line));
      }
    }
    return "a limit or another attribute of the process differs";
  }
  if (FingerprintOf(now) != FingerprintOf(then)) return "its standard input, output or error is of another kind";
  *reason = v1::Decision::REASON_NONE;
  return "";
}

}  // namespace ocpwatch
