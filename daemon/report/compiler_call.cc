#include "daemon/report/compiler_call.h"

#include <algorithm>
#include <cctype>
#include <cstddef>

namespace ocpwatch {
namespace {

constexpr std::string_view kDrivers[] = {"cc", "c++", "gcc", "g++", "clang", "clang++", "c89", "c99"};
constexpr std::string_view kLaunchers[] = {"ccache", "distcc", "icecc", "sccache", "buildcache"};

constexpr std::string_view kSourceSuffixes[] = {
    ".c", ".cc", ".cpp", ".cxx", ".c++", ".C",   ".cp",  ".CPP", ".i",   ".ii",  ".m",   ".mm", ".M",    ".mi",  ".mii",
    ".s", ".S",  ".sx",  ".f",   ".F",   ".f90", ".F90", ".f95", ".F95", ".ads", ".adb", ".d",  ".cppm", ".ixx", ".cu"};

// Options whose value is the next argument. (Joined spellings need no knowledge: they begin with a dash.)
constexpr std::string_view kWithValue[] = {"-o",
                                           "-x",
                                           "-D",
                                           "-U",
                                           "-I",
                                           "-include",
                                           "-imacros",
                                           "-isystem",
                                           "-idirafter",
                                           "-iprefix",
                                           "-iwithprefix",
                                           "-iwithprefixbefore",
                                           "-isysroot",
                                           "-iquote",
                                           "-imultilib",
                                           "-MF",
                                           "-MT",
                                           "-MQ",
                                           "-A",
                                           "-L",
                                           "-l",
                                           "-T",
                                           "-u",
                                           "-z",
                                           "-e",
                                           "-Xlinker",
                                           "-Xassembler",
                                           "-Xpreprocessor",
                                           "-Xclang",
                                           "-arch",
                                           "-target",
                                           "-aux-info",
                                           "-B",
                                           "-specs",
                                           "-wrapper",
                                           "-dumpbase",
                                           "-dumpbase-ext",
                                           "-dumpdir",
                                           "-G",
                                           "-mllvm",
                                           "-framework",
                                           "-include-pch",
                                           "-gcc-toolchain",
                                           "--param",
                                           "--sysroot",
                                           "-cxx-isystem",
                                           "-iframework",
                                           "-MJ",
                                           "-fmodule-file"};

// Calls with one of these compile nothing into a file.
constexpr std::string_view kNothingToKeep[] = {
    "-E",     "-M",           "-MM",          "-###",       "--version",
    "--help", "-dumpversion", "-dumpmachine", "-dumpspecs", "-print-search-dirs"};

template <typename List>
bool Contains(const List& list, std::string_view wanted) {
  return std::find(std::begin(list), std::end(list), wanted) != std::end(list);
}

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// "gcc-12.2" -> "gcc", "clang-14" -> "clang".
std::string_view WithoutVersion(std::string_view name) {
  const size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || dash + 1 == name.size()) return name;
  const bool is_version = std::all_of(name.begin() + static_cast<ptrdiff_t>(dash) + 1, name.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0 || c == '.'; });
  return is_version ? name.substr(0, dash) : name;
}

bool IsDriver(std::string_view argument) {
  const std::string_view name = WithoutVersion(BaseName(argument));
  if (Contains(kDrivers, name)) return true;
  // A target in front: x86_64-linux-gnu-gcc.
  const size_t dash = name.rfind('-');
  return dash != std::string_view::npos && Contains(kDrivers, name.substr(dash + 1));
}

bool IsLauncher(std::string_view argument) { return Contains(kLaunchers, BaseName(argument)); }

bool IsSource(std::string_view argument) {
  const std::string_view name = BaseName(argument);
  const size_t dot = name.rfind('.');
  return dot != std::string_view::npos && dot > 0 && Contains(kSourceSuffixes, name.substr(dot));
}

bool IsObject(std::string_view argument) {
  return argument.ends_with(".o") || argument.ends_with(".a") || argument.ends_with(".so") ||
         argument.find(".so.") != std::string_view::npos || argument.ends_with(".lo");
}

}  // namespace

std::string DerivedOutput(std::string_view source, bool assemble_only) {
  const std::string_view name = BaseName(source);
  return std::string(name.substr(0, name.rfind('.'))) + (assemble_only ? ".s" : ".o");
}

CompilerCall ParseCompilerCall(const std::vector<std::string>& argv) {
  CompilerCall call;
  size_t first = 0;
  while (first < argv.size() && IsLauncher(argv[first])) {
    ++first;
    // Options of the launcher itself, and settings such as `ccache compiler_check=content gcc`.
    while (first < argv.size() &&
           (argv[first].starts_with('-') || (argv[first].find('=') != std::string::npos && !IsDriver(argv[first])))) {
      ++first;
    }
  }
  if (first >= argv.size() || !IsDriver(argv[first])) return {};
  call.arguments.assign(argv.begin() + static_cast<ptrdiff_t>(first), argv.end());

  bool language_is_set = false;
  bool compile_only = false;
  bool assemble_only = false;
  for (size_t i = 1; i < call.arguments.size(); ++i) {
    const std::string& argument = call.arguments[i];
    if (Contains(kNothingToKeep, argument)) return {};
    if (argument == "-cc1" || argument == "-cc1as") return {};  // clang calling itself.
    if (argument == "-c") compile_only = true;
    if (argument == "-S") assemble_only = true;
    if (Contains(kWithValue, argument)) {
      ++i;
      if (i == call.arguments.size()) break;
      if (argument == "-o") {
        call.output = call.arguments[i];
        call.output_is_given = true;
      }
      if (argument == "-x") language_is_set = call.arguments[i] != "none";
      continue;
    }
    if (argument.starts_with("-o") && argument.size() > 2) {
      call.output = argument.substr(2);
      call.output_is_given = true;
      continue;
    }
    if (argument.starts_with("-x") && argument.size() > 2) {
      language_is_set = argument != "-xnone";
      continue;
    }
    if (argument.empty() || argument.front() == '-' || argument.front() == '@') continue;
    if (language_is_set ? !IsObject(argument) : IsSource(argument)) call.sources.push_back(argument);
  }
  if (!call.sources.empty() && !call.output_is_given && (compile_only || assemble_only)) {
    call.output = DerivedOutput(call.sources.front(), assemble_only);
  }
  return call;
}

}  // namespace ocpwatch
