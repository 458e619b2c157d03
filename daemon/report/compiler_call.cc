#include "daemon/report/compiler_call.h"

#include <algorithm>
#include <cctype>
#include <cstddef>

namespace ocpwatch {
namespace {

constexpr std::string_view kDrivers[] = {"cc",  "c++", "gcc", "g++",  "clang", "clang++",  "c89",     "c99",
                                         "tcc", "icc", "icx", "icpc", "icpx",  "armclang", "gfortran"};
constexpr std::string_view kLaunchers[] = {"ccache", "distcc", "icecc", "sccache", "buildcache", "gomacc", "recc"};

constexpr std::string_view kSourceSuffixes[] = {
    ".c",   ".cc",  ".cpp", ".cxx", ".c++", ".C",   ".cp",  ".CPP", ".i",   ".ii",   ".m",    ".mm",  ".M",   ".mi",
    ".mii", ".s",   ".S",   ".sx",  ".f",   ".for", ".F",   ".FOR", ".f90", ".F90",  ".f95",  ".F95", ".f03", ".F03",
    ".f08", ".F08", ".adb", ".ads", ".cu",  ".cl",  ".hip", ".ixx", ".ccm", ".cppm", ".cxxm", ".c++m"};

// Options whose value is the next argument. (Joined spellings need no knowledge: they begin with a dash.)
constexpr std::string_view kWithValue[] = {
    // What both compilers have.
    "-o", "--output", "-x", "--language", "-D", "-U", "-I", "-include", "-imacros", "-isystem", "-idirafter",
    "-iprefix", "-iwithprefix", "-iwithprefixbefore", "-isysroot", "-iquote", "-imultilib", "-MF", "-MT", "-MQ", "-A",
    "-B", "-L", "-l", "-T", "-u", "-z", "-e", "--param", "--sysroot", "-Xlinker", "-Xassembler", "-Xpreprocessor",
    // GCC's.
    "-aux-info", "-specs", "--specs", "-wrapper", "-dumpbase", "-dumpbase-ext", "-dumpdir", "-G", "-Tbss", "-Tdata",
    "-Ttext",
    // Clang's.
    "-Xclang", "-Xanalyzer", "-Xopenmp-target", "-arch", "-target", "-mllvm", "-framework", "-iframework", "-F",
    "-include-pch", "-gcc-toolchain", "-cxx-isystem", "-iwithsysroot", "-isystem-after", "-ivfsoverlay", "-MJ",
    "-fmodule-file", "-working-directory", "-serialize-diagnostics", "--serialize-diagnostics", "-install_name",
    "-rpath"};

// Calls with one of these compile nothing.
constexpr std::string_view kNothingToKeep[] = {
    "-E",        "--preprocess", "-M",           "--dependencies", "-MM",    "--user-dependencies", "-###", "--version",
    "--analyze", "-dumpversion", "-dumpmachine", "-dumpspecs",     "--help", "-dumpfullversion"};

template <typename List>
bool Contains(const List& list, std::string_view wanted) {
  return std::find(std::begin(list), std::end(list), wanted) != std::end(list);
}

std::string_view BaseName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool IsVersion(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0 || c == '.'; });
}

// "gcc-12.2" -> "gcc", "clang15" -> "clang", "gcc-posix" (MinGW's) -> "gcc". But cc1 is no cc.
std::string_view WithoutVersion(std::string_view name) {
  for (const std::string_view threads : {"-posix", "-win32"}) {
    if (name.ends_with(threads)) name.remove_suffix(threads.size());
  }
  const std::string_view whole = name;
  while (!name.empty() && IsVersion(name.substr(name.size() - 1))) name.remove_suffix(1);
  if (name.ends_with('-')) return name.substr(0, name.size() - 1);
  return name == "cc" || name.ends_with("-cc") ? whole : name;
}

bool IsDriver(std::string_view argument) {
  // Of a target only what is behind it matters: x86_64-linux-gnu-gcc. The digits of c99 are no version.
  const auto is_known = [](std::string_view name) {
    return Contains(kDrivers, name) || Contains(kDrivers, name.substr(name.rfind('-') + 1));
  };
  const std::string_view name = BaseName(argument);
  return is_known(name) || is_known(WithoutVersion(name));
}

bool IsLauncher(std::string_view argument) { return Contains(kLaunchers, BaseName(argument)); }

bool IsSource(std::string_view argument) {
  const std::string_view name = BaseName(argument);
  const size_t dot = name.rfind('.');
  return dot != std::string_view::npos && dot > 0 && Contains(kSourceSuffixes, name.substr(dot));
}

// Where the compiler's own name stands in `argv`; argv.size() if there is none.
size_t FindDriver(const std::vector<std::string>& argv, std::string_view executable) {
  size_t first = 0;
  while (first < argv.size() && IsLauncher(argv[first])) {
    ++first;
    // Options of the launcher itself, and settings such as `ccache compiler_check=content gcc`.
    while (first < argv.size() && !IsDriver(argv[first]) &&
           (argv[first].starts_with('-') || argv[first].find('=') != std::string::npos)) {
      ++first;
    }
  }
  if (first == argv.size() || IsDriver(argv[first])) return first;
  return first == 0 && IsDriver(executable) ? 0 : argv.size();
}

// The value of "-oFILE" or "--output=FILE"; empty: it is neither.
std::string_view JoinedValue(std::string_view argument, std::string_view joined, std::string_view with_equals) {
  if (argument.starts_with(with_equals)) return argument.substr(with_equals.size());
  return argument.starts_with(joined) ? argument.substr(joined.size()) : std::string_view();
}

// Reads the arguments one after the other; -x holds for those behind it.
class ArgumentReader {
 public:
  explicit ArgumentReader(CompilerCall* call) : call_(*call) {}

  // False: this is not a compilation.
  bool Read() {
    for (size_t i = 1; i < call_.arguments.size(); ++i) {
      const std::string& argument = call_.arguments[i];
      if (only_inputs_ || !argument.starts_with('-')) {
        AddInput(argument);
        continue;
      }
      if (Contains(kNothingToKeep, argument) || argument.starts_with("-cc1")) return false;  // clang calling itself.
      if (Contains(kWithValue, argument)) {
        ++i;
        if (i < call_.arguments.size()) SetValue(argument, call_.arguments[i]);
      } else {
        ReadOption(argument);
      }
    }
    if (compile_only_) call_.suffix = llvm_ ? ".bc" : ".o";
    if (assembly_only_) call_.suffix = llvm_ ? ".ll" : ".s";
    return true;
  }

 private:
  void SetValue(std::string_view option, std::string_view value) {
    if (option == "-o" || option == "--output") call_.output = std::string(value);
    if (option == "-x" || option == "--language") language_ = value == "none" ? std::string_view() : value;
  }

  void ReadOption(std::string_view argument) {
    if (argument == "--") only_inputs_ = true;
    if (argument == "-c" || argument == "--compile") compile_only_ = true;
    if (argument == "-S" || argument == "--assemble") assembly_only_ = true;
    if (argument == "-emit-llvm") llvm_ = true;
    if (const auto value = JoinedValue(argument, "-o", "--output="); !value.empty()) SetValue("-o", value);
    if (const auto value = JoinedValue(argument, "-x", "--language="); !value.empty()) SetValue("-x", value);
  }

  void AddInput(const std::string& argument) {
    if (argument.empty() || argument == "-" || argument.starts_with('@') || argument.starts_with("/dev/")) return;
    const bool is_source = language_.empty() ? IsSource(argument) : !language_.ends_with("-header");
    if (is_source) call_.sources.push_back(argument);
  }

  CompilerCall& call_;
  std::string_view language_;  // Of -x; empty: by the suffix.
  bool only_inputs_ = false;
  bool compile_only_ = false;
  bool assembly_only_ = false;
  bool llvm_ = false;
};

}  // namespace

std::string OutputOf(const CompilerCall& call, std::string_view source) {
  if (!call.output.empty() || call.suffix.empty()) return call.output;
  const std::string_view name = BaseName(source);
  return std::string(name.substr(0, name.rfind('.'))) + call.suffix;
}

CompilerCall ParseCompilerCall(const std::vector<std::string>& argv, std::string_view executable) {
  const size_t driver = FindDriver(argv, executable);
  if (driver == argv.size()) return {};
  CompilerCall call;
  call.arguments.assign(argv.begin() + static_cast<ptrdiff_t>(driver), argv.end());
  if (!ArgumentReader(&call).Read()) return {};
  return call;
}

}  // namespace ocpwatch
