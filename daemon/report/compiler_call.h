// Recognises a compiler's command line and what it compiles.
//
// Of a build's commands only drivers count (gcc, c++, clang-14, x86_64-linux-gnu-g++-12, ...), known by the name they
// were called by. What drivers start themselves (cc1, as, collect2, ld) does not: a compilation database wants the
// command that a person could repeat. Launchers in front (ccache, distcc, icecc, sccache) are stepped over; the
// compiler that a launcher executes with the same arguments is the caller's business (compile_commands.cc).
//
// Taken: each source among the arguments unless the call only preprocesses (-E), only lists dependencies (-M, -MM),
// only prints or checks something about the compiler itself, or reads standard input. Linking in the same call does not
// matter. Syntax: GCC 12's "Option Summary" and clang 14's "Command line argument reference".
#ifndef OCPWATCH_DAEMON_REPORT_COMPILER_CALL_H_
#define OCPWATCH_DAEMON_REPORT_COMPILER_CALL_H_

#include <string>
#include <string_view>
#include <vector>

namespace ocpwatch {

struct CompilerCall {
  std::vector<std::string> arguments;  // Without launchers: [0] is the compiler.
  std::vector<std::string> sources;    // As given.
  std::string output;                  // As given or as the compiler derives it, of the first source; empty: none.
  bool output_is_given = false;
};

// No sources: it is not a compilation.
CompilerCall ParseCompilerCall(const std::vector<std::string>& argv);

// The compiler's default output for a source: "dir/a.c" -> "a.o"; "a.s" where `assemble_only` (-S).
std::string DerivedOutput(std::string_view source, bool assemble_only);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_REPORT_COMPILER_CALL_H_
