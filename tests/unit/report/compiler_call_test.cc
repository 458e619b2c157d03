#include "daemon/report/compiler_call.h"

#include <catch2/catch.hpp>
#include <sstream>

#include "tests/unit/report/fixture.h"

namespace ocpwatch {
namespace {

Strings Words(const std::string& line) {
  std::istringstream stream(line);
  return {std::istream_iterator<std::string>(stream), {}};
}

CompilerCall Parse(const std::string& line, std::string_view executable = {}) {
  return ParseCompilerCall(Words(line), executable);
}
Strings Sources(const std::string& line) { return Parse(line).sources; }
bool IsCompilation(const std::string& line) { return !Sources(line).empty(); }

TEST_CASE("Drivers are known by their names, with target and version") {
  for (const char* driver : {"cc",
                             "c++",
                             "gcc",
                             "g++",
                             "clang",
                             "clang++",
                             "c89",
                             "c99",
                             "/usr/bin/cc",
                             "gcc-12",
                             "g++-12.2.0",
                             "clang-14",
                             "clang++-14",
                             "clang15",
                             "x86_64-linux-gnu-gcc",
                             "x86_64-linux-gnu-g++-12",
                             "/opt/x/bin/arm-none-eabi-gcc",
                             "x86_64-w64-mingw32-g++-posix",
                             "aarch64-linux-gnu-cc",
                             "../toolchain/clang++"}) {
    INFO(driver);
    CHECK(IsCompilation(std::string(driver) + " -c a.c"));
  }
}

TEST_CASE("What is no driver compiles nothing here") {
  for (const char* program : {"cc1", "/usr/lib/gcc/x86_64-linux-gnu/12/cc1plus", "as", "ld", "collect2", "make", "sh",
                              "gcc-ar", "gcc-ar-12", "clang-format", "clang-tidy", "clang-cpp", "cpp", "c++filt",
                              "x86_64-linux-gnu-as", "lto1", "lto-wrapper", "ccomps", "gccgo-tool"}) {
    INFO(program);
    CHECK_FALSE(IsCompilation(std::string(program) + " -c a.c"));
  }
  CHECK_FALSE(IsCompilation("clang -cc1 -emit-obj a.c"));
  CHECK_FALSE(IsCompilation("clang -cc1as a.s"));
  CHECK(ParseCompilerCall({}).sources.empty());
  CHECK(ParseCompilerCall({""}).sources.empty());
}

TEST_CASE("A driver by another name is known by its executable") {
  CHECK(Parse("mycc -c a.c", "/usr/bin/x86_64-linux-gnu-gcc-12").sources == Strings{"a.c"});
  CHECK(Parse("mycc -c a.c", "/usr/bin/perl").sources.empty());
  CHECK(Parse("make -c a.c", "/usr/bin/make").sources.empty());
}

TEST_CASE("Launchers in front are stepped over") {
  const Strings expected = Words("gcc -c a.c");
  for (const char* launcher : {"ccache", "/usr/bin/ccache", "distcc", "icecc", "sccache", "ccache distcc",
                               "ccache compiler_check=content", "ccache --verbose"}) {
    INFO(launcher);
    CHECK(Parse(std::string(launcher) + " gcc -c a.c").arguments == expected);
  }
  CHECK_FALSE(IsCompilation("ccache -s"));
  CHECK_FALSE(IsCompilation("ccache"));
  CHECK_FALSE(IsCompilation("ccache make a.c"));
}

TEST_CASE("Each source is found, whatever its language") {
  CHECK(Sources("gcc -c a.c b.cc dir/c.cpp d.cxx e.C f.m g.i h.ii i.s j.S k.f90") ==
        Words("a.c b.cc dir/c.cpp d.cxx e.C f.m g.i h.ii i.s j.S k.f90"));
  CHECK(Sources("g++ -o prog main.cc lib.a util.o -lfoo libx.so") == Strings{"main.cc"});
  CHECK(Sources("gcc -- -odd.c") == Strings{"-odd.c"});
}

TEST_CASE("What only links, preprocesses or prints is no compilation") {
  for (const char* line :
       {"gcc -o prog a.o b.o", "gcc -shared -o l.so a.lo", "gcc -E a.c", "gcc -E -dM -x c /dev/null", "gcc -M a.c",
        "gcc -MM a.c", "gcc -### a.c", "gcc --version", "gcc -v", "gcc -dumpmachine", "gcc", "gcc --help",
        "gcc -print-prog-name=ld", "clang --analyze a.c", "gcc --preprocess a.c"}) {
    INFO(line);
    CHECK_FALSE(IsCompilation(line));
  }
}

TEST_CASE("Writing dependencies beside the object is a compilation") {
  CHECK(Sources("gcc -MD -MF .deps/a.d -MT a.o -c a.c") == Strings{"a.c"});
  CHECK(Sources("gcc -MMD -MP -c a.c -o a.o") == Strings{"a.c"});
}

TEST_CASE("The values of options are no sources") {
  CHECK(
      Sources(
          "gcc -include pre.c -D x.c -I inc.c -isystem s.c -MF m.c -MT t.c -MQ q.c -o out.c -L l.c -Xlinker x.c -T t.c "
          "-u u.c -imacros i.c -idirafter a.c -iquote b.c --param p.c -aux-info x.c -c real.c") == Strings{"real.c"});
  CHECK(Sources("clang -target t.c -Xclang x.c -mllvm m.c -isysroot r.c -c real.c") == Strings{"real.c"});
  CHECK(Sources("gcc -c real.c -o") == Strings{"real.c"});
}

TEST_CASE("-x says what the files behind it are") {
  CHECK(Sources("gcc -x c -c strange") == Strings{"strange"});
  CHECK(Sources("gcc -xc++ -c strange.txt") == Strings{"strange.txt"});
  CHECK(Sources("gcc -x c one -x none two.o three.c") == (Strings{"one", "three.c"}));
  CHECK(Sources("gcc before.o -x c after.o") == Strings{"after.o"});
  CHECK(Sources("gcc --language=c -c strange") == Strings{"strange"});
}

TEST_CASE("Headers, standard input and devices are no sources") {
  for (const char* line :
       {"gcc -x c-header all.h", "g++ -xc++-header all.hh", "g++ -x c++-system-header iostream", "gcc -c all.h",
        "gcc -x c -", "gcc -c -x c - -o a.o", "gcc -Wfoo -c -x c /dev/null -o x", "gcc -x c -c /dev/stdin"}) {
    INFO(line);
    CHECK_FALSE(IsCompilation(line));
  }
}

TEST_CASE("A response file stays an argument") {
  const CompilerCall call = Parse("g++ @flags.rsp -c a.cc");
  CHECK(call.arguments == Words("g++ @flags.rsp -c a.cc"));
  CHECK(call.sources == Strings{"a.cc"});
  CHECK_FALSE(IsCompilation("g++ @objects.rsp -o prog"));
}

TEST_CASE("The output is what was given, or what the compiler makes of the name") {
  const auto output = [](const std::string& line) {
    const CompilerCall call = Parse(line);
    REQUIRE_FALSE(call.sources.empty());
    return OutputOf(call, call.sources.back());
  };
  CHECK(output("gcc -c a.c -o out/a.o") == "out/a.o");
  CHECK(output("gcc -c a.c -oout.o") == "out.o");
  CHECK(output("gcc -c a.c --output=out.o") == "out.o");
  CHECK(output("gcc -c dir/a.b.c") == "a.b.o");
  CHECK(output("gcc -c a.c b.c") == "b.o");
  CHECK(output("gcc -S a.c") == "a.s");
  CHECK(output("clang -emit-llvm -c a.c") == "a.bc");
  CHECK(output("clang -emit-llvm -S a.c") == "a.ll");
  CHECK(output("gcc -x c -c strange") == "strange.o");
  CHECK(output("gcc a.c -o prog") == "prog");
  CHECK(output("gcc a.c").empty());
}

}  // namespace
}  // namespace ocpwatch
