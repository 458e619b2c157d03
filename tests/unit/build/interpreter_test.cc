#include "daemon/build/interpreter.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

namespace ocpwatch {
namespace {

std::string InterpreterOfText(const std::string& text) {
  const std::string path = std::filesystem::temp_directory_path() / ("interpreter_test." + std::to_string(getpid()));
  std::ofstream(path, std::ios::binary) << text;
  std::string interpreter = InterpreterOf(path);
  std::filesystem::remove(path);
  return interpreter;
}

TEST_CASE("TheFirstLineNamesTheInterpreter") {
  CHECK(InterpreterOfText("#!/bin/sh\necho\n") == "/bin/sh");
  CHECK(InterpreterOfText("#! \t./own -x y\n") == "./own");
  CHECK(InterpreterOfText("#!/bin/true") == "/bin/true");
}

TEST_CASE("WhatNamesNoneHasNone") {
  CHECK(InterpreterOfText("").empty());
  CHECK(InterpreterOfText("#!").empty());
  CHECK(InterpreterOfText("#! \n/bin/sh\n").empty());
  CHECK(InterpreterOfText("echo #!/bin/sh\n").empty());
  CHECK(InterpreterOf("/nonexistent/script").empty());
}

TEST_CASE("ALongLineEndsWhereTheKernelStopsReading") {
  const std::string interpreter = "/" + std::string(400, 'x');
  CHECK(InterpreterOfText("#!" + interpreter + "\n") == interpreter.substr(0, 254));
}

}  // namespace
}  // namespace ocpwatch
