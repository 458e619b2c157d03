// The wrappers: for each function one body that records (Traced_open), and for each of its names an exported function
// that asks whether to.
//
// The exported functions have C++ names of their own and get libc's by an asm label: nothing clashes with what libc's
// headers declare, with attributes and redirections that differ from version to version.
//
// A wrapper that is off costs a look at the session's behaviours, a compare and a jump through the pointer to the real
// function: 1.6 ns in all, measured around a posix_spawn_file_actions_init of 1.3 ns. The body lives in a function of
// its own so that no frame is set up for it.
#include <string>

#include "preload/gencalls/emit.h"
#include "preload/gencalls/table.h"

namespace ocpwatch {
namespace {

class WrapperEmitter {
 public:
  explicit WrapperEmitter(const v1::Function& function)
      : function_(function), is_void_(function.result() == v1::RESULT_VOID) {}

  std::string Emit() {
    EmitBody();
    for (const std::string& name : NamesOf(function_)) EmitExported(name);
    return out_;
  }

 private:
  void Line(const std::string& text) { out_ += text + "\n"; }

  std::string Signature(const std::string& name, bool variadic) const {
    return Declare(function_.returns(), name) + "(" + ParametersOf(function_, true, variadic) + ")";
  }

  std::string Id() const { return "FunctionId::" + EnumeratorOf(function_.name()); }

  // The arguments of the real call. `own`: with our own memory where the caller does not want to know a status.
  std::string Arguments(bool own) const {
    std::string result;
    for (const v1::Argument& argument : function_.arguments()) {
      if (!result.empty()) result += ", ";
      const bool out = argument.role() == v1::ROLE_OUT_WAIT_STATUS || argument.role() == v1::ROLE_OUT_SIGINFO;
      result += own && out ? argument.name() + " != nullptr ? " + argument.name() + " : &own" : argument.name();
    }
    return result;
  }

  void EmitBody() {
    std::string parameters = ParametersOf(function_, true, false);
    if (!parameters.empty()) parameters = ", " + parameters;
    Line("[[gnu::noinline]] static " + Declare(function_.returns(), "Traced_" + function_.name()) +
         "(Behaviour behaviour, decltype(RealCalls::" + function_.name() + ") next" + parameters + ") {");
    Line("  Call call;");
    Line("  call.function = " + Id() + ";");
    for (const v1::Argument& argument : function_.arguments()) EmitBefore(argument);
    for (const v1::Implied& implied : function_.implied()) EmitImplied(implied);
    if (function_.told_ahead()) {
      // A stream without a descriptor, or none at all: nothing will be closed.
      Line("  if (call.fd >= 0) {");
      Line("    RecordBefore(call, behaviour);");
      Line("    RecordAfter(call);");
      const bool range = function_.op() == v1::OP_CLOSE_RANGE;
      Line(std::string("    ForgetReads(call.fd, ") + (range ? "call.fd2" : "call.fd") + ");");
      Line("  }");
      Line("  return next(" + Arguments(false) + ");");
      Line("}");
      return;
    }
    if (function_.synchronous_to_write()) {
      Line("  if (behaviour != Behaviour::kAfter) RecordBefore(call, behaviour = OnlyToWrite(behaviour, call.flags));");
    } else {
      Line("  RecordBefore(call, behaviour);");
    }
    Line(std::string("  ") + (is_void_ ? "" : "const auto returned = ") + "next(" + Arguments(true) + ");");
    EmitOutcome();
    if (Reads(function_) || function_.op() == v1::OP_COPY) {
      Line("  if (in_build_session && call.error == 0) call.stat_fd = call.fd;");
    }
    Line("  RecordAfter(call);");
    if (Reads(function_)) Line("  if (call.error == 0) SettleReads(call.fd);");
    if (function_.op() == v1::OP_WAIT) Line("  if (in_build_session && call.result > 0) HoldForOutputs(call);");
    if (!is_void_) Line("  return returned;");
    Line("}");
  }

  void EmitBefore(const v1::Argument& argument) {
    const std::string& name = argument.name();
    switch (argument.role()) {
      case v1::ROLE_PATH:
      case v1::ROLE_TEMPLATE:  // The last name tried, should the call fail.
        return Line("  call.path = " + name + ";");
      case v1::ROLE_PATH2:
        return Line("  call.path2 = " + name + ";");
      case v1::ROLE_FD:
        return Line("  call.fd = static_cast<int>(" + name + ");");
      case v1::ROLE_FD2:
        return Line("  call.fd2 = static_cast<int>(" + name + ");");
      case v1::ROLE_FLAGS:
        return Line("  call.flags = static_cast<uint32_t>(" + name + ");");
      case v1::ROLE_MODE:
        return Line("  call.mode = static_cast<uint32_t>(" + name + ");");
      case v1::ROLE_VALUE:
        return Line("  call.value = static_cast<int64_t>(" + name + ");");
      case v1::ROLE_OBJECT:
        return Line("  call.object = (uint64_t)" + name + ";");
      case v1::ROLE_STREAM:
        return Line("  call.fd = StreamDescriptor(" + name + ");");
      case v1::ROLE_STREAM2:
        return Line("  call.fd2 = StreamDescriptor(" + name + ");");
      case v1::ROLE_DIR:
        return Line("  call.fd = DirectoryDescriptor(" + name + ");");
      case v1::ROLE_FOPEN_MODE:
        return Line("  call.flags = OpenFlags(" + name + ");");
      case v1::ROLE_OUT_WAIT_STATUS:
        return Line("  int own = 0;  // The status is needed even if the caller does not want it.");
      case v1::ROLE_OUT_SIGINFO:
        return Line("  siginfo_t own = {};  // The status is needed even if the caller does not want it.");
      case v1::ROLE_SOCKET_ADDRESS:
        Line("  char own[kSocketPathSize];");
        return Line("  if (behaviour != Behaviour::kAfter) call.path = SocketPath(" + name + ", " + LengthOf(name) +
                    ", own);");
      default:
        return;
    }
  }

  // The descriptor that is read.
  std::string Descriptor() const {
    for (const v1::Argument& argument : function_.arguments()) {
      if (argument.role() == v1::ROLE_FD) return argument.name();
      if (argument.role() == v1::ROLE_STREAM) return "StreamNumber(" + argument.name() + ")";
    }
    for (const v1::Implied& implied : function_.implied()) {
      if (implied.role() == v1::ROLE_FD) return implied.value();
    }
    return "-1";
  }

  // The argument behind a socket address.
  std::string LengthOf(const std::string& address) const {
    for (int i = 0; i + 1 < function_.arguments_size(); i++) {
      if (function_.arguments(i).name() == address) return function_.arguments(i + 1).name();
    }
    return "0";
  }

  void EmitImplied(const v1::Implied& implied) {
    switch (implied.role()) {
      case v1::ROLE_FLAGS:
        return Line("  call.flags |= static_cast<uint32_t>(" + implied.value() + ");");
      case v1::ROLE_MODE:
        return Line("  call.mode |= static_cast<uint32_t>(" + implied.value() + ");");
      case v1::ROLE_FD:
        return Line("  call.fd = " + implied.value() + ";");
      case v1::ROLE_FD2:
        return Line("  call.fd2 = " + implied.value() + ";");
      default:
        return Line("  call.value = " + implied.value() + ";");
    }
  }

  void EmitOutcome() {
    switch (function_.success()) {
      case v1::SUCCESS_NOT_MINUS_ONE:
        Line("  if (returned == (" + function_.returns() + ")-1) {");
        Line("    NoteFailure(call, errno);");
        Line("  } else {");
        break;
      case v1::SUCCESS_NOT_NULL:
        Line("  if (returned == nullptr) {");
        Line("    NoteFailure(call, errno);");
        Line("  } else {");
        break;
      case v1::SUCCESS_ZERO:
        Line("  if (returned != 0) {");
        Line("    NoteFailure(call, returned);");
        Line("  } else {");
        break;
      default:
        Line("  {");
    }
    EmitResult();
    for (const v1::Argument& argument : function_.arguments()) EmitOutput(argument);
    if (function_.op() == v1::OP_DUP || function_.op() == v1::OP_NEW_FD) {
      Line("    ForgetReads(static_cast<int>(call.result), static_cast<int>(call.result));");
      if (function_.op() == v1::OP_NEW_FD) Line("    if (call.fd2 >= 0) ForgetReads(call.fd2, call.fd2);");
    }
    Line("  }");
    for (const v1::Argument& argument : function_.arguments()) {
      if (argument.role() != v1::ROLE_SOCKET_ADDRESS) continue;
      Line("  if (behaviour == Behaviour::kAfter && AddressWasRead(call.error)) call.path = SocketPath(" +
           argument.name() + ", " + LengthOf(argument.name()) + ", own);");
    }
  }

  void EmitResult() {
    switch (function_.result()) {
      case v1::RESULT_INTEGER:
        Line("    call.result = static_cast<int64_t>(returned);");
        break;
      case v1::RESULT_STREAM:
        Line("    call.result = StreamDescriptor(returned);");
        break;
      case v1::RESULT_DIR:
        Line("    call.result = DirectoryDescriptor(returned);");
        break;
      case v1::RESULT_TEXT:
        Line("    call.result_path = returned;");
        break;
      default:
        break;
    }
    // What was opened only for writing is known by what is written to it. Beside the wait for an answer the look at it
    // costs nothing.
    if (function_.stat_result()) {
      Line("    if ((call.flags & O_ACCMODE) != O_WRONLY || behaviour == Behaviour::kSynchronous) {");
      Line("      call.stat_fd = static_cast<int>(call.result);");
      Line("    }");
    }
  }

  void EmitOutput(const v1::Argument& argument) {
    const std::string& name = argument.name();
    switch (argument.role()) {
      case v1::ROLE_TEMPLATE:
        Line("    call.path = nullptr;");
        return Line("    call.result_path = " + name + ";");
      case v1::ROLE_OUT_TEXT:
        Line("    call.result_path = " + name + ";");
        return Line("    call.result_path_size = returned;");
      case v1::ROLE_OUT_WAIT_STATUS:
        return Line("    if (returned > 0) call.value = " + name + " != nullptr ? *" + name + " : own;");
      case v1::ROLE_OUT_SIGINFO:
        Line("    const siginfo_t& ended = " + name + " != nullptr ? *" + name + " : own;");
        Line("    call.result = ended.si_pid;");
        return Line("    if (ended.si_pid != 0) call.value = WaitStatus(ended);");
      case v1::ROLE_OUT_FD_PAIR:
        Line("    call.result = " + name + "[0];");
        return Line("    call.fd2 = " + name + "[1];");
      case v1::ROLE_OUT_STAT:
        return Line("    call.status = " + name + ";");
      case v1::ROLE_OUT_STATX:
        return Line("    call.statx = " + name + ";");
      case v1::ROLE_OUT_PID:
        return Line("    if (" + name + " != nullptr) call.value = *" + name + ";");
      default:
        return;
    }
  }

  void EmitExported(const std::string& name) {
    const bool variadic = function_.variadic_mode();
    Line("__attribute__((visibility(\"default\"))) " + Signature("Exported_" + name, variadic) + " __asm__(\"" + name +
         "\");");
    Line(Signature("Exported_" + name, variadic) + " {");
    if (variadic) {
      const v1::Argument& last = function_.arguments(function_.arguments_size() - 1);
      Line("  " + Declare(last.type(), last.name()) + " = 0;");
      for (const v1::Argument& argument : function_.arguments()) {
        if (argument.role() == v1::ROLE_FLAGS) {
          Line("  if (__OPEN_NEEDS_MODE(" + argument.name() + ")) {");
        }
      }
      Line("    va_list rest;");
      Line("    va_start(rest, " + function_.arguments(function_.arguments_size() - 2).name() + ");");
      Line("    " + last.name() + " = va_arg(rest, " + last.type() + ");");
      Line("    va_end(rest);");
      Line("  }");
    }
    const std::string arguments = Arguments(false);
    if (Reads(function_)) {
      const std::string descriptor = Descriptor();
      Line("  if (ReadsAreSettled(" + descriptor + ")) return real." + name + "(" + arguments + ");");
      Line("  const Behaviour behaviour = BehaviourForRead(" + Id() + ", " + descriptor + ");");
    } else {
      Line("  const Behaviour behaviour = BehaviourFor(" + Id() + ");");
    }
    Line("  if (behaviour == Behaviour::kOff) return real." + name + "(" + arguments + ");");
    Line("  return Traced_" + function_.name() + "(behaviour, real." + name + (arguments.empty() ? "" : ", ") +
         arguments + ");");
    Line("}");
    if (name == function_.name() && !function_.syscall().empty()) {
      Line(Signature("traced_" + name, variadic) + " __attribute__((alias(\"" + name +
           "\"), visibility(\"hidden\")));");
    }
    Line("");
  }

  const v1::Function& function_;
  const bool is_void_;
  std::string out_;
};

}  // namespace

std::string EmitWrappers(const v1::CallTable& table) {
  std::string out =
      "// Generated by gencalls from preload/functions.textproto.\n"
      "#include \"preload/gencalls/wrapper_support.h\"\n#include \"preload/runtime/reads.h\"\n#include "
      "\"real_calls.h\"\n\n"
      "using namespace ocpwatch;\n\nextern \"C\" {\n\n";
  for (const v1::Function& function : table.functions()) {
    if (!function.by_hand()) out += WrapperEmitter(function).Emit();
  }
  return out + "}  // extern \"C\"\n";
}

}  // namespace ocpwatch
