// A directory of its own for a test, removed at the end.
#ifndef OCPWATCH_TESTS_UNIT_SERVICE_SCRATCH_H_
#define OCPWATCH_TESTS_UNIT_SERVICE_SCRATCH_H_

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <system_error>

namespace ocpwatch {

class Scratch {
 public:
  Scratch() { REQUIRE(mkdtemp(path_.data()) != nullptr); }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }

 private:
  // Short: a socket's path has 108 bytes.
  std::string path_ = "/tmp/ocpw-XXXXXX";
};

}  // namespace ocpwatch

#endif  // OCPWATCH_TESTS_UNIT_SERVICE_SCRATCH_H_
