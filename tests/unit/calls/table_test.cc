// The call table that we ship: complete, and true of the libc that runs here.
#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "preload/gencalls/call_table.h"
#include "preload/gencalls/emit.h"
#include "preload/gencalls/table.h"

namespace ocpwatch {
namespace {

v1::CallTable ShippedTable() {
  std::ifstream in(OCPWATCH_TABLE);
  std::ostringstream text;
  text << in.rdbuf();
  v1::CallTable table;
  std::vector<std::string> errors;
  REQUIRE(ParseTable(text.str(), &table, &errors));
  return table;
}

// function -> family, as the list of candidates has it.
std::map<std::string, std::string> Candidates() {
  std::map<std::string, std::string> candidates;
  std::ifstream in(OCPWATCH_CANDIDATES);
  std::string line;
  std::getline(in, line);  // Headings.
  while (std::getline(in, line)) {
    const size_t tab = line.find('\t');
    candidates.emplace(line.substr(0, tab), line.substr(tab + 1));
  }
  return candidates;
}

std::set<std::string> InterceptedNames(const v1::CallTable& table) {
  std::set<std::string> names;
  for (const v1::Function& function : table.functions()) {
    for (const std::string& name : NamesOf(function)) names.insert(name);
  }
  return names;
}

TEST_CASE("The shipped table is sound") { CHECK(CheckTable(ShippedTable()).empty()); }

TEST_CASE("Every candidate is intercepted or excluded with a reason") {
  const v1::CallTable table = ShippedTable();
  const std::set<std::string> intercepted = InterceptedNames(table);
  std::set<std::string> excluded;
  for (const v1::Excluded& group : table.excluded()) excluded.insert(group.names().begin(), group.names().end());
  const auto candidates = Candidates();
  REQUIRE(candidates.size() == 536);
  for (const auto& [name, family] : candidates) {
    INFO(name << " of " << family);
    CHECK((intercepted.count(name) == 1) != (excluded.count(name) == 1));
  }
  for (const std::string& name : excluded) {
    INFO(name);
    CHECK(candidates.count(name) == 1);
  }
}

TEST_CASE("The file-and-process core is intercepted whole") { CHECK(InterceptedNames(ShippedTable()).size() >= 206); }

TEST_CASE("Every intercepted name is a function of this libc") {
  for (const std::string& name : InterceptedNames(ShippedTable())) {
    INFO(name);
    CHECK(dlsym(RTLD_DEFAULT, name.c_str()) != nullptr);
  }
}

TEST_CASE("What is excluded as not in glibc is not there") {
  const v1::CallTable table = ShippedTable();
  for (const v1::Excluded& group : table.excluded()) {
    if (group.reason().rfind("Not in glibc", 0) != 0) continue;
    for (const std::string& name : group.names()) {
      INFO(name);
      CHECK(dlsym(RTLD_DEFAULT, name.c_str()) == nullptr);
    }
  }
}

TEST_CASE("The daemon's table says of each function what the text says") {
  const v1::CallTable table = ShippedTable();
  const absl::Span<const FunctionInfo> infos = CallTable();
  REQUIRE(static_cast<int>(infos.size()) == table.functions_size() + 1);
  CHECK(std::string(infos[0].name).empty());
  for (int id = 1; id < static_cast<int>(infos.size()); id++) {
    const v1::Function& function = table.functions(id - 1);
    CHECK(infos[id].name == function.name());
    CHECK(infos[id].op == function.op());
    CHECK(infos[id].family == function.family());
    CHECK(infos[id].record == function.record());
    CHECK(infos[id].build == function.build());
    for (const std::string& name : NamesOf(function)) CHECK(FindFunction(name) == id);
  }
}

TEST_CASE("Names that are not in the table are not found") {
  CHECK(FindFunction("") == 0);
  CHECK(FindFunction("ope") == 0);
  CHECK(FindFunction("zzz") == 0);
}

TEST_CASE("Families go by the names of --calls") {
  CHECK(FindFamily("xattr") == v1::FAMILY_XATTR);
  CHECK(FindFamily("dir-read") == v1::FAMILY_DIR_READ);
  CHECK(FindFamily("dir_read") == v1::FAMILY_UNSPECIFIED);
  CHECK(FindFamily("nothing") == v1::FAMILY_UNSPECIFIED);
}

TEST_CASE("exec and spawn wait for an answer in a build session, and nothing waits in a record session") {
  for (const FunctionInfo& info : CallTable()) {
    INFO(info.name);
    CHECK(info.record != v1::BEHAVIOUR_SYNCHRONOUS);
    // popen's shell is started by libc; what it executes asks for itself.
    if (std::string(info.name) == "popen") continue;
    if (info.op == v1::OP_EXEC || info.op == v1::OP_SPAWN) CHECK(info.build == v1::BEHAVIOUR_SYNCHRONOUS);
  }
}

TEST_CASE("In a build session whatever may change a file, and every listing, waits for an answer") {
  const v1::CallTable table = ShippedTable();
  const std::set<v1::Op> changes = {v1::OP_OPEN,   v1::OP_REOPEN,   v1::OP_MKDIR,    v1::OP_RMDIR,     v1::OP_MKNOD,
                                    v1::OP_UNLINK, v1::OP_RENAME,   v1::OP_LINK,     v1::OP_SYMLINK,   v1::OP_CHMOD,
                                    v1::OP_CHOWN,  v1::OP_UTIMES,   v1::OP_TRUNCATE, v1::OP_SET_XATTR, v1::OP_TEMP_DIR,
                                    v1::OP_LIST,   v1::OP_OPEN_DIR, v1::OP_TEMP_FILE};
  const std::set<std::string> harmless = {"readdir", "readdir_r", "tmpfile"};
  for (const v1::Function& function : table.functions()) {
    if (changes.count(function.op()) == 0 || harmless.count(function.name()) == 1) continue;
    INFO(function.name());
    CHECK(function.build() == v1::BEHAVIOUR_SYNCHRONOUS);
    CHECK(function.synchronous_to_write() ==
          (function.name() != "creat" && (function.op() == v1::OP_OPEN || function.op() == v1::OP_REOPEN)));
  }
}

}  // namespace
}  // namespace ocpwatch
