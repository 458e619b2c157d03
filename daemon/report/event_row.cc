#include "daemon/report/event_row.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "daemon/report/call_flags.h"
#include "daemon/report/escape.h"
#include "ocpwatch/v1/functions.pb.h"

namespace ocpwatch {
namespace {

// What is shown of an argument list; all of it is in the command.
constexpr int kShownArguments = 12;

std::string Quoted(std::string_view bytes) {
  std::string text = "\"";
  for (const char c : EscapeBytes(bytes)) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '\n') {
      text += "\\n";
    } else if (c == '\t') {
      text += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppend(&text, "\\x", absl::Hex(byte, absl::kZeroPad2));
    } else {
      if (c == '"') text.push_back('\\');
      text.push_back(c);
    }
  }
  return text + "\"";
}

// Whether a function takes a directory's descriptor before its path: openat, fstatat64, renameat2, __openat64_2; not
// stat, creat.
bool TakesDirectory(std::string_view function) {
  if (function == "statx") return true;
  while (!function.empty() &&
         (std::isdigit(static_cast<unsigned char>(function.back())) != 0 || function.back() == '_')) {
    function.remove_suffix(1);
  }
  return function.ends_with("at") && !function.ends_with("stat") && function != "creat";
}

std::string ErrorName(int32_t error) {
  const char* const name = strerrorname_np(error);
  return name != nullptr ? name : absl::StrCat("errno ", error);
}

// The arguments of a call, one by one, as far as its kind gives them a meaning.
class Arguments {
 public:
  explicit Arguments(std::string_view function) : takes_directory_(TakesDirectory(function)) {}

  template <typename CallMessage>
  std::string Of(v1::Op op, const CallMessage& call) {
    const bool has_path = !call.path().empty();
    if (op == v1::OP_SYMLINK) {
      Add(Quoted(call.path()));
      AddPath(call.path2(), call.fd2());
    } else {
      if (has_path) {
        AddPath(call.path(), call.fd());
      } else if (call.fd() != AT_FDCWD && HasDescriptor(op)) {
        Add(absl::StrCat(call.fd()));
      }
      if (op == v1::OP_GET_XATTR || op == v1::OP_SET_XATTR) {
        Add(Quoted(call.path2()));
      } else if (!call.path2().empty()) {
        AddPath(call.path2(), call.fd2());
      } else if (op == v1::OP_DUP || op == v1::OP_COPY || op == v1::OP_CLOSE_RANGE) {
        if (call.fd2() != AT_FDCWD) Add(absl::StrCat(call.fd2()));
      }
    }
    switch (op) {
      case v1::OP_OPEN:
      case v1::OP_REOPEN:
        Add(OpenFlags(call.flags()));
        if ((call.flags() & O_CREAT) != 0) Add(Octal(call.mode()));
        break;
      case v1::OP_MKDIR:
      case v1::OP_MKNOD:
      case v1::OP_CHMOD:
      case v1::OP_UMASK:
        Add(Octal(call.mode()));
        break;
      case v1::OP_ACCESS:
        Add(AccessMode(call.mode()));
        if (call.flags() != 0) Add(HexText(call.flags()));
        break;
      case v1::OP_STAT:
      case v1::OP_UNLINK:
      case v1::OP_LINK:
      case v1::OP_CHOWN:
      case v1::OP_UTIMES:
        if (call.flags() != 0) Add(AtFlags(call.flags()));
        break;
      case v1::OP_FCNTL:
        Add(FcntlCommand(call.flags()));
        Add(absl::StrCat(call.value()));
        break;
      case v1::OP_TRUNCATE:
      case v1::OP_EXIT:
      case v1::OP_KILL:
      case v1::OP_RAW:
        Add(absl::StrCat(call.value()));
        break;
      case v1::OP_FORK:
        if (call.child() != 0) Add(absl::StrCat("process ", call.child()));
        break;
      default:
        if (call.flags() != 0) Add(HexText(call.flags()));
    }
    AddArgv(call.argv());
    return text_;
  }

 private:
  static bool HasDescriptor(v1::Op op) {
    switch (op) {
      case v1::OP_EXEC:
      case v1::OP_SPAWN:
      case v1::OP_FORK:
      case v1::OP_EXIT:
      case v1::OP_WAIT:
      case v1::OP_KILL:
      case v1::OP_UMASK:
      case v1::OP_RAW:
      case v1::OP_NEW_FD:
        return false;
      default:
        return true;
    }
  }
  void Add(std::string_view argument) {
    absl::StrAppend(&text_, text_.empty() ? "" : ", ", absl::string_view(argument.data(), argument.size()));
  }
  void AddPath(std::string_view path, int32_t directory) {
    if (takes_directory_ || (directory != AT_FDCWD && !path.starts_with('/'))) {
      Add(directory == AT_FDCWD ? "AT_FDCWD" : absl::StrCat(directory));
    }
    Add(Quoted(path));
  }
  template <typename List>
  void AddArgv(const List& argv) {
    if (argv.empty()) return;
    std::string list;
    const int shown = std::min(static_cast<int>(argv.size()), kShownArguments);
    for (int i = 0; i < shown; ++i) absl::StrAppend(&list, i == 0 ? "" : ", ", Quoted(argv[i]));
    if (shown < static_cast<int>(argv.size())) absl::StrAppend(&list, ", ... ", argv.size() - shown, " more");
    Add(absl::StrCat("[", list, "]"));
  }

  const bool takes_directory_;
  std::string text_;
};

// posix_spawn, posix_fallocate and their like return the errno itself.
bool ReturnsErrno(std::string_view function) {
  return function.starts_with("posix_spawn") || function.starts_with("posix_fallocate");
}

std::string Result(v1::Op op, std::string_view function, const v1::AfterCall& call) {
  if (call.error() != 0) {
    return absl::StrCat(" = ", ReturnsErrno(function) ? call.error() : -1, " ", ErrorName(call.error()));
  }
  std::string text = absl::StrCat(" = ", call.result());
  if (!call.result_path().empty()) absl::StrAppend(&text, " ", Quoted(call.result_path()));
  if (op == v1::OP_WAIT) {
    const auto status = static_cast<int>(call.value());
    if (call.result() > 0 && WIFEXITED(status)) absl::StrAppend(&text, " exit ", WEXITSTATUS(status));
    if (call.result() > 0 && WIFSIGNALED(status)) absl::StrAppend(&text, " signal ", WTERMSIG(status));
  }
  return text;
}

v1::Op OpOf(const v1::SessionHeader& header, uint32_t function) {
  return function < static_cast<uint32_t>(header.ops_size())
             ? static_cast<v1::Op>(header.ops(static_cast<int>(function)))
             : v1::OP_NONE;
}

std::string NameOf(const v1::SessionHeader& header, uint32_t function) {
  if (function < static_cast<uint32_t>(header.functions_size())) return header.functions(static_cast<int>(function));
  return absl::StrCat("function ", function);
}

void FillProc(const v1::Proc& proc, v1::EventRow* row) {
  row->set_kind("proc");
  switch (proc.kind()) {
    case v1::Proc::KIND_IMAGE:
      row->set_text(absl::StrCat("runs ", Quoted(proc.executable()), " as pid ", proc.pid()));
      break;
    case v1::Proc::KIND_FORKED:
      row->set_text(absl::StrCat("is a forked child, pid ", proc.pid(), ", of process ", proc.parent()));
      break;
    default:
      row->set_text(absl::StrCat(proc.argv_size(), " more arguments"));
  }
}

}  // namespace

bool MakeEventRow(const v1::SessionHeader& header, const v1::Event& event, const Applied& applied,
                  std::string_view path, v1::EventRow* row) {
  row->Clear();
  const auto set_time = [&](uint64_t time_ns) {
    row->set_time_ns(time_ns > header.start_ns() ? static_cast<int64_t>(time_ns - header.start_ns()) : 0);
  };
  if (event.body_case() == v1::Event::kDamage) {
    set_time(event.damage().time_ns());
    row->set_process(event.damage().process());
    row->set_kind("damage");
    row->set_text(ValidUtf8(event.damage().what()));
    return true;
  }
  if (event.body_case() != v1::Event::kFrame) return false;
  const v1::Frame& frame = event.frame();
  set_time(frame.time_ns());
  row->set_process(frame.process());
  row->set_pid(applied.pid);
  row->set_command_id(applied.command);
  row->set_path(EscapeBytes(path));
  const auto fill_call = [&](const auto& call) {
    row->set_function(NameOf(header, call.function()));
    row->set_text(
        absl::StrCat(row->function(), "(", Arguments(row->function()).Of(OpOf(header, call.function()), call), ")"));
  };
  switch (frame.body_case()) {
    case v1::Frame::kProc:
      FillProc(frame.proc(), row);
      return true;
    case v1::Frame::kBefore:
      row->set_kind("before");
      fill_call(frame.before());
      return true;
    case v1::Frame::kAfter:
      row->set_kind("after");
      fill_call(frame.after());
      row->mutable_text()->append(Result(OpOf(header, frame.after().function()), row->function(), frame.after()));
      if (frame.after().error() != 0) row->set_error(ErrorName(frame.after().error()));
      return true;
    case v1::Frame::kLost:
      row->set_kind("lost");
      row->set_text(absl::StrCat(frame.lost().frames(), " frames could not be written"));
      return true;
    case v1::Frame::BODY_NOT_SET:
      break;
  }
  return false;
}

}  // namespace ocpwatch
