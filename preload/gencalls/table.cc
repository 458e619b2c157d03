#include "preload/gencalls/table.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <cctype>
#include <map>
#include <set>

#include "ocpwatch/v1/ring.h"
#include "preload/gencalls/emit.h"

namespace ocpwatch {
namespace {

class ErrorList : public google::protobuf::io::ErrorCollector {
 public:
  explicit ErrorList(std::vector<std::string>* errors) : errors_(errors) {}
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    errors_->push_back(std::to_string(line + 1) + ":" + std::to_string(column + 1) + ": " + message);
  }

 private:
  std::vector<std::string>* errors_;
};

bool IsIdentifier(const std::string& name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) return false;
  for (char c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') return false;
  }
  return true;
}

bool IsPointer(const std::string& type) { return type.find('*') != std::string::npos; }

// Roles whose argument is a pointer; of all others it is a number.
bool WantsPointer(v1::Role role) {
  switch (role) {
    case v1::ROLE_PATH:
    case v1::ROLE_PATH2:
    case v1::ROLE_STREAM:
    case v1::ROLE_STREAM2:
    case v1::ROLE_DIR:
    case v1::ROLE_FOPEN_MODE:
    case v1::ROLE_TEMPLATE:
    case v1::ROLE_OUT_TEXT:
    case v1::ROLE_OUT_WAIT_STATUS:
    case v1::ROLE_OUT_FD_PAIR:
    case v1::ROLE_OUT_PID:
    case v1::ROLE_OUT_SIGINFO:
    case v1::ROLE_OUT_STAT:
    case v1::ROLE_OUT_STATX:
    case v1::ROLE_SOCKET_ADDRESS:
      return true;
    default:
      return false;
  }
}

// The field of a Call that a role fills; two arguments must not fill the same.
std::string FieldOf(v1::Role role) {
  switch (role) {
    case v1::ROLE_PATH:
    case v1::ROLE_SOCKET_ADDRESS:
      return "path";
    case v1::ROLE_PATH2:
      return "path2";
    case v1::ROLE_FD:
    case v1::ROLE_STREAM:
    case v1::ROLE_DIR:
      return "fd";
    case v1::ROLE_FD2:
    case v1::ROLE_STREAM2:
      return "fd2";
    case v1::ROLE_FLAGS:
    case v1::ROLE_FOPEN_MODE:
      return "flags";
    case v1::ROLE_MODE:
      return "mode";
    case v1::ROLE_VALUE:
    case v1::ROLE_OUT_WAIT_STATUS:
    case v1::ROLE_OUT_PID:
    case v1::ROLE_OUT_SIGINFO:
      return "value";
    case v1::ROLE_OBJECT:
      return "object";
    case v1::ROLE_TEMPLATE:
    case v1::ROLE_OUT_TEXT:
      return "result_path";
    case v1::ROLE_OUT_FD_PAIR:
      return "fd2";
    case v1::ROLE_OUT_STAT:
    case v1::ROLE_OUT_STATX:
      return "stat";
    default:
      return "";
  }
}

class Checker {
 public:
  explicit Checker(const v1::CallTable& table) : table_(table) {}

  std::vector<std::string> Run() {
    if (table_.functions_size() >= static_cast<int>(kMaxFunctions)) {
      errors_.push_back("the table has " + std::to_string(table_.functions_size()) +
                        " functions; ring.h has room for " + std::to_string(kMaxFunctions - 1));
    }
    for (const v1::Function& function : table_.functions()) CheckFunction(function);
    for (const v1::Excluded& excluded : table_.excluded()) CheckExcluded(excluded);
    return errors_;
  }

 private:
  void Error(const std::string& what) { errors_.push_back(where_ + what); }

  void CheckName(const std::string& name) {
    if (!IsIdentifier(name)) Error("\"" + name + "\" is not the name of a function");
    if (!names_.insert(name).second) Error("\"" + name + "\" is in the table twice");
  }

  void CheckFunction(const v1::Function& function) {
    where_ = (function.name().empty() ? "a function without a name" : function.name()) + ": ";
    CheckName(function.name());
    for (const std::string& alias : function.aliases()) CheckName(alias);
    const auto [other, is_new] = enumerators_.emplace(EnumeratorOf(function.name()), function.name());
    if (!is_new) Error("has the same enumerator as " + other->second + ", " + other->first);
    if (function.family() == v1::FAMILY_UNSPECIFIED) Error("has no family");
    if (function.returns().empty()) Error("has no return type; \"void\" if it returns nothing");
    if (function.record() == v1::BEHAVIOUR_SYNCHRONOUS) Error("a record session never waits for answers");
    if (function.synchronous_to_write() && ArgumentOf(function, v1::ROLE_FLAGS) == nullptr &&
        ArgumentOf(function, v1::ROLE_FOPEN_MODE) == nullptr) {
      Error("is synchronous_to_write, and has no flags");
    }
    if (Reads(function) && !function.by_hand() && !HasDescriptor(function)) Error("reads, and has no descriptor");
    for (const std::string& call : function.syscall()) CheckSystemCall(function, call);
    CheckArguments(function);
    CheckResult(function);
    CheckImplied(function);
  }

  void CheckSystemCall(const v1::Function& function, const std::string& call) {
    const std::string name = call.substr(0, call.find('/'));
    const std::string given = call.substr(name.size());  // "" or "/3"
    const bool counts = given.empty() || (given.size() == 2 && given[1] >= '0' && given[1] <= '6');
    if (name.rfind("SYS_", 0) != 0 || !IsIdentifier(name) || !counts) {
      Error("\"" + call + "\" is no system call: SYS_open, SYS_faccessat/3");
    }
    if (function.arguments_size() > 6) Error("has more arguments than a system call can have");
    if (!names_.insert(name).second) Error(name + " already goes to another function");
    if (function.by_hand()) Error("is made by hand, so syscall() has to know " + name + " by hand too");
  }

  void CheckArguments(const v1::Function& function) {
    std::map<std::string, std::string> fields;
    std::set<std::string> arguments;
    for (int i = 0; i < function.arguments_size(); i++) {
      const v1::Argument& argument = function.arguments(i);
      if (argument.type() == "...") {
        if (!function.by_hand()) Error("has \"...\": only variadic_mode can be generated, else it is by_hand");
        if (i + 1 != function.arguments_size()) Error("has an argument after \"...\"");
        continue;
      }
      if (argument.type().empty()) Error("argument " + std::to_string(i + 1) + " has no type");
      // These are the names that the generated code uses itself.
      static const std::set<std::string> kTaken = {"call", "next", "behaviour", "returned", "own", "real"};
      if (!IsIdentifier(argument.name()) || kTaken.count(argument.name()) != 0) {
        Error("argument " + std::to_string(i + 1) + " cannot be called \"" + argument.name() + "\"");
      }
      if (!arguments.insert(argument.name()).second) Error("has two arguments called " + argument.name());
      if (argument.role() == v1::ROLE_NONE) continue;
      if (WantsPointer(argument.role()) && !IsPointer(argument.type())) {
        Error(argument.name() + " is " + v1::Role_Name(argument.role()) + ", and " + argument.type() +
              " is no pointer");
      }
      if (!WantsPointer(argument.role()) && argument.role() != v1::ROLE_OBJECT && IsPointer(argument.type())) {
        Error(argument.name() + " is " + v1::Role_Name(argument.role()) + ", and " + argument.type() + " is no number");
      }
      const auto [other, is_new] = fields.emplace(FieldOf(argument.role()), argument.name());
      if (!is_new) Error(argument.name() + " and " + other->second + " both fill " + other->first);
      if (argument.role() == v1::ROLE_SOCKET_ADDRESS && i + 1 == function.arguments_size()) {
        Error(argument.name() + " is a socket address without its length behind it");
      }
    }
    if (function.variadic_mode()) {
      const int count = function.arguments_size();
      if (count == 0 || function.arguments(count - 1).type() != "mode_t")
        Error("has variadic_mode, and no last mode_t");
      if (ArgumentOf(function, v1::ROLE_FLAGS) == nullptr) Error("has variadic_mode, and no flags");
    }
  }

  void CheckResult(const v1::Function& function) {
    const bool is_void = function.returns() == "void";
    const bool is_pointer = IsPointer(function.returns());
    if (is_void != (function.result() == v1::RESULT_VOID)) Error("RESULT_VOID is what returns void, and nothing else");
    if (is_void && function.success() != v1::SUCCESS_ALWAYS) Error("returns void, so success is SUCCESS_ALWAYS");
    if (function.success() == v1::SUCCESS_NOT_NULL && !is_pointer) Error("SUCCESS_NOT_NULL, and it returns no pointer");
    if (function.success() == v1::SUCCESS_ZERO && is_pointer) Error("SUCCESS_ZERO, and it returns a pointer");
    if (function.result() == v1::RESULT_INTEGER && is_pointer) Error("RESULT_INTEGER, and it returns a pointer");
    if ((function.result() == v1::RESULT_STREAM || function.result() == v1::RESULT_DIR ||
         function.result() == v1::RESULT_TEXT) &&
        !is_pointer) {
      Error(v1::ResultKind_Name(function.result()) + ", and it returns no pointer");
    }
    if (function.stat_result() && function.result() != v1::RESULT_INTEGER && function.result() != v1::RESULT_STREAM) {
      Error("has stat_result, and its result is no descriptor");
    }
    if (function.told_ahead() && (function.stat_result() || HasOutput(function))) {
      Error("is told_ahead, and yet something is to be recorded that is known only after the call");
    }
    if (function.told_ahead() && ArgumentOf(function, v1::ROLE_FD) == nullptr &&
        ArgumentOf(function, v1::ROLE_STREAM) == nullptr && ArgumentOf(function, v1::ROLE_DIR) == nullptr) {
      Error("is told_ahead, and has no descriptor");
    }
  }

  void CheckImplied(const v1::Function& function) {
    for (const v1::Implied& implied : function.implied()) {
      if (implied.value().empty()) Error("implies " + v1::Role_Name(implied.role()) + " without a value");
      switch (implied.role()) {
        case v1::ROLE_FLAGS:
        case v1::ROLE_MODE:
          break;
        case v1::ROLE_FD:
        case v1::ROLE_FD2:
        case v1::ROLE_VALUE:
          if (ArgumentOf(function, implied.role()) != nullptr) {
            Error("implies " + v1::Role_Name(implied.role()) + ", which an argument says");
          }
          break;
        default:
          Error(v1::Role_Name(implied.role()) + " cannot be implied");
      }
    }
  }

  static const v1::Argument* ArgumentOf(const v1::Function& function, v1::Role role) {
    for (const v1::Argument& argument : function.arguments()) {
      if (argument.role() == role) return &argument;
    }
    return nullptr;
  }

  static bool HasDescriptor(const v1::Function& function) {
    for (const v1::Implied& implied : function.implied()) {
      if (implied.role() == v1::ROLE_FD) return true;
    }
    return ArgumentOf(function, v1::ROLE_FD) != nullptr || ArgumentOf(function, v1::ROLE_STREAM) != nullptr;
  }

  static bool HasOutput(const v1::Function& function) {
    for (const v1::Argument& argument : function.arguments()) {
      switch (argument.role()) {
        case v1::ROLE_TEMPLATE:
        case v1::ROLE_OUT_TEXT:
        case v1::ROLE_OUT_WAIT_STATUS:
        case v1::ROLE_OUT_FD_PAIR:
        case v1::ROLE_OUT_PID:
        case v1::ROLE_OUT_SIGINFO:
        case v1::ROLE_OUT_STAT:
        case v1::ROLE_OUT_STATX:
          return true;
        default:
          break;
      }
    }
    return false;
  }

  void CheckExcluded(const v1::Excluded& excluded) {
    where_ = "excluded: ";
    if (excluded.reason().empty()) Error("a group has no reason");
    if (excluded.names().empty()) Error("\"" + excluded.reason() + "\" has no names");
    for (const std::string& name : excluded.names()) CheckName(name);
  }

  const v1::CallTable& table_;
  std::vector<std::string> errors_;
  std::string where_;
  std::set<std::string> names_;                     // Of functions, aliases, system calls and what is excluded.
  std::map<std::string, std::string> enumerators_;  // -> the function that has it
};

}  // namespace

bool ParseTable(const std::string& text, v1::CallTable* table, std::vector<std::string>* errors) {
  ErrorList list(errors);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&list);
  return parser.ParseFromString(text, table);
}

std::vector<std::string> CheckTable(const v1::CallTable& table) { return Checker(table).Run(); }

std::string EnumeratorOf(const std::string& function_name) {
  std::string result = "k";
  size_t start = function_name.find_first_not_of('_');
  if (start == std::string::npos) start = 0;
  if (start == 1) result += "Under";
  bool upper = true;
  for (char c : function_name.substr(start)) {
    if (c == '_') {
      upper = true;
      continue;
    }
    result += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return result;
}

}  // namespace ocpwatch
