// Recognises a compiler's command line and what it compiles.
//
// Of a build's commands only drivers count (gcc, c++, clang-14, x86_64-linux-gnu-g++-12, ...), known by the name they
// were called by or else by the name of the executable. What drivers start themselves (cc1, as, collect2, ld) does not:
// a compilation database wants the command that a person could repeat. Launchers in front (ccache, distcc, icecc,
// sccache) are stepped over; the compiler that a launcher executes is the caller's business (compile_commands.cc).
//
// Taken: each source among the arguments, assembler too, unless the call only preprocesses (-E), only lists
// dependencies (-M, -MM) or only prints something. Linking in the same call does not matter. No sources are: standard
// input, devices (`-x c /dev/null` tries an option), headers (-x c-header: a precompiled one), and what is named only
// inside of a response file (@file), which is kept as it is. Syntax: GCC 12's "Option Summary" and clang 14's "Command
// line argument reference".
#ifndef OCPWATCH_DAEMON_REPORT_COMPILER_CALL_H_
#define OCPWATCH_DAEMON_REPORT_COMPILER_CALL_H_

#include <string>
#include <string_view>
#include <vector>

namespace ocpwatch {

struct CompilerCall {
  std::vector<std::string> arguments;  // Without launchers: [0] is the compiler.
  std::vector<std::string> sources;    // As given.
  std::string output;                  // The argument of -o; empty: none was given.
  std::string suffix;                  // Of outputs that are not given: ".o", ".s"; empty where the call links.
};

// No sources: it is not a compilation. `executable` may be empty.
CompilerCall ParseCompilerCall(const std::vector<std::string>& argv, std::string_view executable = {});

// What the call makes of one of its sources: what was given, or as the compiler derives it ("dir/a.c" -> "a.o"). Empty:
// nothing that stays, since it is linked at once under no name.
std::string OutputOf(const CompilerCall& call, std::string_view source);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_REPORT_COMPILER_CALL_H_
