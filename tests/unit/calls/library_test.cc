// The library as it is linked: it takes over exactly the functions of the table.
#include <elf.h>
#include <link.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "preload/gencalls/call_table.h"

namespace ocpwatch {
namespace {

// The names that a shared library defines for others. Read from the file: the library is not to be loaded here.
std::vector<std::string> DefinedNames(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string file((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  std::vector<std::string> names;
  if (file.size() < sizeof(ElfW(Ehdr))) return names;
  const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(file.data());
  const auto* sections = reinterpret_cast<const ElfW(Shdr)*>(file.data() + header->e_shoff);
  for (int i = 0; i < header->e_shnum; i++) {
    if (sections[i].sh_type != SHT_DYNSYM) continue;
    const auto* symbols = reinterpret_cast<const ElfW(Sym)*>(file.data() + sections[i].sh_offset);
    const char* strings = file.data() + sections[sections[i].sh_link].sh_offset;
    for (size_t j = 0; j < sections[i].sh_size / sizeof(ElfW(Sym)); j++) {
      if (symbols[j].st_shndx != SHN_UNDEF) names.emplace_back(strings + symbols[j].st_name);
    }
  }
  return names;
}

TEST_CASE("The library shows every intercepted name and nothing else") {
  std::set<std::string> shown;
  for (const std::string& name : DefinedNames(OCPWATCH_PRELOAD)) {
    INFO(name);
    CHECK(FindFunction(name) != 0);
    shown.insert(name);
  }
  std::ifstream exports(OCPWATCH_EXPORTS);
  std::string line;
  size_t wanted = 0;
  while (std::getline(exports, line)) {
    if (line.size() < 6 || line.compare(0, 4, "    ") != 0 || line == "    *;") continue;
    const std::string name = line.substr(4, line.size() - 5);
    INFO(name);
    CHECK(shown.count(name) == 1);
    wanted++;
  }
  CHECK(wanted >= 206);
}

}  // namespace
}  // namespace ocpwatch
