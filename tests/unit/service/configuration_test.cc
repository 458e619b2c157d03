#include "daemon/service/configuration.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/service/scratch.h"

namespace ocpwatch {
namespace {

std::string Write(const Scratch& scratch, const std::string& text) {
  std::string path = scratch.path() + "/config.textproto";
  std::ofstream(path) << text;
  return path;
}

TEST_CASE("A configuration file that is not there means the defaults") {
  Scratch scratch;
  auto configuration = LoadConfiguration(scratch.path() + "/none/config.textproto");
  REQUIRE(configuration.ok());
  CHECK_FALSE(configuration->has_idle_exit_seconds());
  CHECK(LoadConfiguration("").ok());
}

TEST_CASE("A configuration file is read") {
  Scratch scratch;
  auto configuration =
      LoadConfiguration(Write(scratch, "calls: \"open=off\"  # a comment\nidle_exit_seconds: 0\nmax_log_bytes: 5\n"));
  REQUIRE(configuration.ok());
  CHECK(configuration->has_idle_exit_seconds());
  CHECK(configuration->idle_exit_seconds() == 0);
  CHECK(configuration->max_log_bytes() == 5);
  CHECK(configuration->calls(0) == "open=off");
}

TEST_CASE("A mistake in the configuration is refused with file, line and reason") {
  Scratch scratch;
  auto configuration = LoadConfiguration(Write(scratch, "max_log_bytes: 5\nidle_exit: 3\n"));
  REQUIRE_FALSE(configuration.ok());
  const std::string message(configuration.status().message());
  CHECK_THAT(message, Catch::Contains("config.textproto:2:"));
  CHECK_THAT(message, Catch::Contains("idle_exit"));
}

TEST_CASE("A relative state directory is refused") {
  Scratch scratch;
  CHECK_FALSE(LoadConfiguration(Write(scratch, "state_directory: \"logs\"\n")).ok());
}

TEST_CASE("A directory in the configuration file's place is an error") {
  Scratch scratch;
  CHECK_FALSE(LoadConfiguration(scratch.path()).ok());
}

}  // namespace
}  // namespace ocpwatch
