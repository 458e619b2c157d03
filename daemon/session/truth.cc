#include "daemon/session/truth.h"

#include <map>

#include "absl/strings/str_cat.h"

namespace ocpwatch {

namespace {

// More examples than these do not help a reader of one sentence; `report tree` marks every command.
constexpr size_t kExamples = 3;

std::string NameOf(const Command& command) {
  std::string name = !command.argv.empty() ? command.argv.front() : command.executable;
  if (const size_t slash = name.rfind('/'); slash != std::string::npos) name.erase(0, slash + 1);
  if (name.size() > 60) name.resize(60);
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  return name;
}

}  // namespace

std::string OpaqueReasonText(v1::OpaqueReason reason) {
  switch (reason) {
    case v1::OPAQUE_STATIC:
      return "statically linked";
    case v1::OPAQUE_SETUID:
      return "setuid or setgid";
    case v1::OPAQUE_CAPABILITIES:
      return "it has file capabilities";
    case v1::OPAQUE_OTHER_CLASS:
      return "for another machine or word size";
    case v1::OPAQUE_OTHER_LIBC:
      return "not linked with glibc";
    case v1::OPAQUE_GO:
      return "a Go program, which makes its system calls itself";
    case v1::OPAQUE_UNREACHABLE:
      return "the preload library cannot be reached from its root directory";
    case v1::OPAQUE_SILENT:
      return "it never announced itself";
    case v1::OPAQUE_UNREADABLE:
      return "its executable cannot be read";
    case v1::OPAQUE_IO_URING:
      return "it uses io_uring";
    case v1::OPAQUE_RAW_SYSCALL:
      return "it makes raw system calls";
    case v1::OPAQUE_OTHER_USER:
      return "it runs as another user";
    case v1::OPAQUE_LOST_FRAMES:
      return "some of its events were lost";
    case v1::OPAQUE_CLONED:
      return "it calls clone in a way that cannot be followed";
    default:
      return "";
  }
}

std::vector<std::string> NotSeen(const Trace& trace) {
  std::vector<std::string> sentences;
  if (trace.truth.opaque_commands() != 0) {
    std::map<v1::OpaqueReason, std::pair<size_t, std::vector<std::string>>> by_reason;
    for (const Command& command : trace.commands()) {
      if (command.opaque == v1::OPAQUE_NONE) continue;
      auto& [count, examples] = by_reason[command.opaque];
      ++count;
      if (examples.size() < kExamples) examples.push_back(absl::StrCat(NameOf(command), " [", command.id, "]"));
    }
    for (const auto& [reason, commands] : by_reason) {
      const auto& [count, examples] = commands;
      std::string sentence = absl::StrCat(count, count == 1 ? " command was" : " commands were",
                                          " not seen in full: ", OpaqueReasonText(reason), " (");
      for (size_t i = 0; i < examples.size(); ++i) absl::StrAppend(&sentence, i == 0 ? "" : ", ", examples[i]);
      absl::StrAppend(&sentence, count > examples.size() ? ", ...)." : ").");
      sentences.push_back(std::move(sentence));
    }
  }
  if (trace.truth.lost_frames() != 0) {
    sentences.push_back(absl::StrCat(trace.truth.lost_frames(), " events were lost."));
  }
  sentences.insert(sentences.end(), trace.truth.notes().begin(), trace.truth.notes().end());
  return sentences;
}

}  // namespace ocpwatch
