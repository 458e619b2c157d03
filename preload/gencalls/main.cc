// gencalls TABLE OUTPUT_DIRECTORY: turns the call table into the sources that emit.h names.
//
// Leaves a file alone that would not change, so that its users are not built again.
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "preload/gencalls/emit.h"
#include "preload/gencalls/table.h"

namespace {

bool ReadFile(const std::string& path, std::string* text) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream buffer;
  buffer << in.rdbuf();
  *text = buffer.str();
  return in.good();
}

bool WriteIfChanged(const std::string& path, const std::string& text) {
  std::string old;
  if (ReadFile(path, &old) && old == text) return true;
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) std::cerr << "gencalls: cannot write " << path << "\n";
  return out.good();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: gencalls TABLE OUTPUT_DIRECTORY\n";
    return 2;
  }
  const std::string path = argv[1];
  const std::string directory = std::string(argv[2]) + "/";
  std::string text;
  if (!ReadFile(path, &text)) {
    std::cerr << "gencalls: cannot read " << path << "\n";
    return 1;
  }
  ocpwatch::v1::CallTable table;
  std::vector<std::string> errors;
  if (ocpwatch::ParseTable(text, &table, &errors)) errors = ocpwatch::CheckTable(table);
  for (const std::string& error : errors) std::cerr << path << ": " << error << "\n";
  if (!errors.empty()) return 1;

  const bool written = WriteIfChanged(directory + "function_ids.h", ocpwatch::EmitFunctionIds(table)) &&
                       WriteIfChanged(directory + "real_calls.h", ocpwatch::EmitRealCallsHeader(table)) &&
                       WriteIfChanged(directory + "real_calls.cc", ocpwatch::EmitRealCalls(table)) &&
                       WriteIfChanged(directory + "wrappers.cc", ocpwatch::EmitWrappers(table)) &&
                       WriteIfChanged(directory + "exports.map", ocpwatch::EmitExports(table)) &&
                       WriteIfChanged(directory + "raw_syscalls.inc", ocpwatch::EmitRawSyscalls(table)) &&
                       WriteIfChanged(directory + "call_table.cc", ocpwatch::EmitCallTable(table));
  return written ? 0 : 1;
}
