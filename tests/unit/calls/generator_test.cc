// What the generator refuses, and what it writes.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "preload/gencalls/emit.h"
#include "preload/gencalls/table.h"

namespace ocpwatch {
namespace {

constexpr char kChdir[] = R"(
functions {
  name: "chdir" family: FAMILY_CWD op: OP_CHDIR returns: "int"
  arguments { type: "const char *" name: "path" role: ROLE_PATH }
}
)";

// What is said of a table, in lines.
std::string Complaints(const std::string& text) {
  v1::CallTable table;
  std::vector<std::string> errors;
  if (ParseTable(text, &table, &errors)) errors = CheckTable(table);
  std::string lines;
  for (const std::string& error : errors) lines += error + "\n";
  return lines;
}

// The same of a table with one function with these fields; name, family and op are given.
std::string OfFunction(const std::string& fields) {
  return Complaints("functions { name: \"f\" family: FAMILY_OPEN op: OP_OPEN " + fields + " }");
}

TEST_CASE("A sound table draws no complaint") { CHECK(Complaints(kChdir).empty()); }

TEST_CASE("Text that is no table is refused with its place") {
  CHECK(Complaints("functions {\n  nmae: \"x\" }").find("2:7: ") == 0);
}

TEST_CASE("A name that stands twice is refused") {
  CHECK(Complaints(std::string(kChdir) + kChdir).find("chdir: \"chdir\" is in the table twice") != std::string::npos);
  CHECK(OfFunction("returns: \"int\" aliases: \"f\"") == "f: \"f\" is in the table twice\n");
  CHECK(Complaints(std::string(kChdir) + "excluded { reason: \"r\" names: \"chdir\" }") ==
        "excluded: \"chdir\" is in the table twice\n");
}

TEST_CASE("Two functions with one enumerator are refused") {
  const std::string text = "functions { name: \"__f\" family: FAMILY_OPEN returns: \"int\" }";
  CHECK(Complaints("functions { name: \"f\" family: FAMILY_OPEN returns: \"int\" }" + text) ==
        "__f: has the same enumerator as f, kF\n");
}

TEST_CASE("Missing fields are refused") {
  CHECK(Complaints("functions { name: \"f\" }") ==
        "f: has no family\nf: has no return type; \"void\" if it returns nothing\n");
  CHECK(Complaints("functions { family: FAMILY_OPEN returns: \"int\" }").find("a function without a name: ") == 0);
  CHECK(Complaints("excluded { names: \"x\" }") == "excluded: a group has no reason\n");
}

TEST_CASE("A record session that waits is refused") {
  CHECK(OfFunction("returns: \"int\" record: BEHAVIOUR_SYNCHRONOUS") ==
        "f: a record session never waits for answers\n");
}

TEST_CASE("A wait that depends on flags needs flags, and a reader something to read from") {
  CHECK(OfFunction("returns: \"int\" synchronous_to_write: true") == "f: is synchronous_to_write, and has no flags\n");
  const std::string reader = "functions { name: \"f\" family: FAMILY_READ op: OP_READ returns: \"int\" ";
  CHECK(Complaints(reader + "}") == "f: reads, and has no descriptor\n");
  CHECK(Complaints(reader + "implied { role: ROLE_FD value: \"0\" } }").empty());
  CHECK(OfFunction("returns: \"int\" arguments { type: \"int\" name: \"s\" role: ROLE_OUT_STAT }") ==
        "f: s is ROLE_OUT_STAT, and int is no pointer\n");
}

TEST_CASE("Arguments that cannot be what their roles say are refused") {
  CHECK(OfFunction("returns: \"int\" arguments { type: \"int\" name: \"p\" role: ROLE_PATH }") ==
        "f: p is ROLE_PATH, and int is no pointer\n");
  CHECK(OfFunction("returns: \"int\" arguments { type: \"char *\" name: \"p\" role: ROLE_FD }") ==
        "f: p is ROLE_FD, and char * is no number\n");
  CHECK(OfFunction("returns: \"int\" arguments { type: \"int\" name: \"a\" role: ROLE_FD }"
                   "arguments { type: \"FILE *\" name: \"b\" role: ROLE_STREAM }") == "f: b and a both fill fd\n");
  CHECK(OfFunction("returns: \"int\" arguments { type: \"int\" name: \"call\" }") ==
        "f: argument 1 cannot be called \"call\"\n");
  CHECK(OfFunction("returns: \"int\" arguments { type: \"...\" }") ==
        "f: has \"...\": only variadic_mode can be generated, else it is by_hand\n");
  CHECK(OfFunction("returns: \"int\" variadic_mode: true").find("f: has variadic_mode, and no last mode_t\n") == 0);
}

TEST_CASE("A success that the return type cannot tell is refused") {
  CHECK(OfFunction("returns: \"int\" success: SUCCESS_NOT_NULL") == "f: SUCCESS_NOT_NULL, and it returns no pointer\n");
  CHECK(OfFunction("returns: \"void\" result: RESULT_VOID") == "f: returns void, so success is SUCCESS_ALWAYS\n");
  CHECK(OfFunction("returns: \"int\" result: RESULT_STREAM") == "f: RESULT_STREAM, and it returns no pointer\n");
}

TEST_CASE("What is told ahead cannot tell what is known only after the call") {
  CHECK(OfFunction("returns: \"int\" told_ahead: true stat_result: true "
                   "arguments { type: \"int\" name: \"fd\" role: ROLE_FD }")
            .find("f: is told_ahead, and yet") == 0);
}

TEST_CASE("A system call goes to one function only, and not to one made by hand") {
  CHECK(Complaints("functions { name: \"f\" family: FAMILY_OPEN returns: \"int\" syscall: \"SYS_x\" }"
                   "functions { name: \"g\" family: FAMILY_OPEN returns: \"int\" syscall: \"SYS_x/2\" }") ==
        "g: SYS_x already goes to another function\n");
  CHECK(OfFunction("returns: \"int\" syscall: \"SYS_x/y\"") ==
        "f: \"SYS_x/y\" is no system call: SYS_open, SYS_faccessat/3\n");
  CHECK(OfFunction("returns: \"int\" by_hand: true syscall: \"SYS_x\"").find("is made by hand") != std::string::npos);
}

TEST_CASE("Only what no argument says can be implied") {
  CHECK(OfFunction("returns: \"int\" arguments { type: \"int\" name: \"fd\" role: ROLE_FD }"
                   "implied { role: ROLE_FD value: \"1\" }") == "f: implies ROLE_FD, which an argument says\n");
  CHECK(OfFunction("returns: \"int\" implied { role: ROLE_PATH value: \"1\" }") == "f: ROLE_PATH cannot be implied\n");
}

TEST_CASE("Enumerators keep apart what libc keeps apart by underscores") {
  CHECK(EnumeratorOf("open") == "kOpen");
  CHECK(EnumeratorOf("posix_spawn_file_actions_addopen") == "kPosixSpawnFileActionsAddopen");
  CHECK(EnumeratorOf("__open_2") == "kOpen2");
  CHECK(EnumeratorOf("_exit") == "kUnderExit");
}

TEST_CASE("The names that the library shows are the names of the table, without a version") {
  v1::CallTable table;
  std::vector<std::string> errors;
  REQUIRE(ParseTable(kChdir, &table, &errors));
  CHECK(EmitExports(table) == "{\n  global:\n    chdir;\n  local:\n    *;\n};\n");
}

TEST_CASE("The generator ends with an error, the table's path and the reason") {
  char directory[] = "/tmp/gencalls-XXXXXX";
  REQUIRE(mkdtemp(directory) != nullptr);
  const std::string table = std::string(directory) + "/bad.textproto";
  std::ofstream(table) << "functions { name: \"f\" family: FAMILY_OPEN }\n";
  FILE* run = popen((std::string(OCPWATCH_GENCALLS) + " " + table + " " + directory + " 2>&1").c_str(), "r");
  REQUIRE(run != nullptr);
  char said[1000] = "";
  const size_t size = fread(said, 1, sizeof(said) - 1, run);
  said[size] = '\0';
  const int status = pclose(run);
  CHECK(WEXITSTATUS(status) == 1);
  CHECK(std::string(said) == table + ": f: has no return type; \"void\" if it returns nothing\n");
  CHECK(access((std::string(directory) + "/wrappers.cc").c_str(), F_OK) != 0);
  unlink(table.c_str());
  rmdir(directory);
}

}  // namespace
}  // namespace ocpwatch
