// What the kernel executes in a script's place: the program that its first line names.
#ifndef OCPWATCH_DAEMON_BUILD_INTERPRETER_H_
#define OCPWATCH_DAEMON_BUILD_INTERPRETER_H_

#include <string>

namespace ocpwatch {

// As execve(2) reads it, so perhaps relative to the working directory. Empty if `path` is no script, or cannot be read.
std::string InterpreterOf(const std::string& path);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_BUILD_INTERPRETER_H_
