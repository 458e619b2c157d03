#include "daemon/report/event_row.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "daemon/report/escape.h"
#include "ocpwatch/v1/functions.pb.h"

namespace ocpwatch {
namespace {

// What is shown of an argument list; all of it is in the command.
constexpr int kShownArguments = 12;

struct FlagName {
  uint32_t flag;
  const char* name;
};
constexpr FlagName kOpenFlags[] = {
    {O_CREAT, "O_CREAT"},       {O_EXCL, "O_EXCL"},           {O_TRUNC, "O_TRUNC"},       {O_APPEND, "O_APPEND"},
    {O_TMPFILE, "O_TMPFILE"},   {O_DIRECTORY, "O_DIRECTORY"}, {O_NOFOLLOW, "O_NOFOLLOW"}, {O_CLOEXEC, "O_CLOEXEC"},
    {O_NONBLOCK, "O_NONBLOCK"}, {O_NOCTTY, "O_NOCTTY"},       {O_PATH, "O_PATH"},         {O_SYNC, "O_SYNC"},
};

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
  if (flags != 0) absl::StrAppend(&text, "|0", absl::Hex(flags));
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

std::string Quoted(std::string_view bytes) {
  std::string text = "\"";
  for (const char c : EscapeBytes(bytes)) {
    switch (c) {
      case '\n':
        text += "\\n";
        break;
      case '\t':
        text += "\\t";
        break;
      case '"':
        text += "\\\"";
        break;
      default:
        text.push_back(c);
    }
  }
  return text + "\"";
}

std::string ErrorName(int32_t error) {
  const char* const name = strerrorname_np(error);
  return name != nullptr ? name : absl::StrCat("errno ", error);
}

// The arguments of a call, one by one, as far as its kind gives them a meaning.
class Arguments {
 public:
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
      if (!call.path2().empty()) {
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
        Add(absl::StrCat(call.mode()));
        break;
      case v1::OP_TRUNCATE:
      case v1::OP_EXIT:
      case v1::OP_KILL:
      case v1::OP_RAW:
      case v1::OP_FCNTL:
        Add(absl::StrCat(call.value()));
        break;
      case v1::OP_FORK:
        if (call.child() != 0) Add(absl::StrCat("process ", call.child()));
        break;
      default:
        if (call.flags() != 0) Add(absl::StrCat("0x", std::string(absl::AlphaNum(absl::Hex(call.flags())).Piece())));
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
    if (directory != AT_FDCWD && !path.starts_with('/')) Add(absl::StrCat(directory));
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

  std::string text_;
};

std::string Result(v1::Op op, const v1::AfterCall& call) {
  if (call.error() != 0) return absl::StrCat(" = -1 ", ErrorName(call.error()));
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
    row->set_text(absl::StrCat(row->function(), "(", Arguments().Of(OpOf(header, call.function()), call), ")"));
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
      row->mutable_text()->append(Result(OpOf(header, frame.after().function()), frame.after()));
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
