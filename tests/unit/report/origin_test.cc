#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/unit/report/fixture.h"

namespace ocpwatch {
namespace {

std::vector<v1::Origin> OriginOf(Recording& recording, const std::string& path, uint64_t limit = 0) {
  v1::Selection selection;
  selection.set_file(path);
  selection.set_limit(limit);
  std::vector<v1::Origin> steps;
  for (const v1::ReportRow& row : recording.Report(v1::VIEW_ORIGIN, selection)) {
    if (row.has_origin()) steps.push_back(row.origin());
  }
  return steps;
}

Strings Paths(const std::vector<v1::Origin>& steps) {
  Strings paths;
  for (const v1::Origin& step : steps) paths.push_back(step.path());
  return paths;
}

Ids Writers(const v1::Origin& step) {
  Ids ids;
  for (const v1::Command& writer : step.writers()) ids.push_back(writer.id());
  return ids;
}

// gcc SOURCE -> cc1 writes the temporary file, as reads it and writes the object.
struct Compilation {
  CommandId gcc, cc1, as;
};
Compilation Compile(Recording* recording, CommandId parent, const std::string& source, const std::string& temporary,
                    const std::string& object) {
  Compilation all{};
  all.gcc = recording->Add(parent, {"gcc", "-c", source});
  recording->Use(all.gcc, temporary, kWritten | kCreated);
  all.cc1 = recording->Add(all.gcc, {"cc1", source});
  recording->Use(all.cc1, "/usr/lib/cc1", kRead | kExecuted);
  recording->Use(all.cc1, "/lib/libc.so.6", kRead | kLoaded);
  recording->Use(all.cc1, source, kRead);
  recording->Use(all.cc1, "/src/all.h", kRead);
  recording->Use(all.cc1, temporary, kWritten);
  recording->command(all.cc1).end_ns = recording->command(all.cc1).uses.back().first_ns;
  all.as = recording->Add(all.gcc, {"as", temporary});
  recording->Use(all.as, temporary, kRead);
  recording->Use(all.as, object, kWritten);
  recording->command(all.as).end_ns = recording->command(all.as).uses.back().first_ns;
  recording->Use(all.gcc, temporary, kRemoved);
  return all;
}

TEST_CASE("An object leads over the compiler's temporary file to its sources") {
  Recording recording;
  const CommandId make = recording.Add(0, {"make"});
  const Compilation compilation = Compile(&recording, make, "/src/a.c", "/tmp/cc1.s", "/src/a.o");
  const auto steps = OriginOf(recording, "/src/a.o");
  REQUIRE(Paths(steps) == Strings{"/src/a.o", "/tmp/cc1.s"});
  CHECK(steps[0].depth() == 0);
  CHECK(Writers(steps[0]) == Ids{compilation.as});
  CHECK(List(steps[0].made_from()) == Strings{"/tmp/cc1.s"});
  CHECK(steps[1].depth() == 1);
  CHECK(Writers(steps[1]) == Ids{compilation.gcc, compilation.cc1});
  CHECK(List(steps[1].made_from()) == Strings{"/src/a.c", "/src/all.h", "/lib/libc.so.6", "/usr/lib/cc1"});
}

TEST_CASE("The asked file comes with everything that was done to it") {
  Recording recording;
  const Compilation compilation = Compile(&recording, recording.Add(0, {"make"}), "/src/a.c", "/tmp/cc1.s", "/src/a.o");
  v1::Selection selection;
  selection.set_file("/tmp/cc1.s");
  const v1::File file = recording.Report(v1::VIEW_ORIGIN, selection)[0].file();
  CHECK(List(file.written_by()) == Ids{compilation.gcc, compilation.cc1});
  CHECK(List(file.read_by()) == Ids{compilation.as});
  CHECK(List(file.removed_by()) == Ids{compilation.gcc});
}

TEST_CASE("A temporary name that is used again does not mix two compilations up") {
  Recording recording;
  const CommandId make = recording.Add(0, {"make"});
  Compile(&recording, make, "/src/a.c", "/tmp/cc1.s", "/src/a.o");
  Compile(&recording, make, "/src/b.c", "/tmp/cc1.s", "/src/b.o");
  const auto steps = OriginOf(recording, "/src/a.o");
  REQUIRE(steps.size() == 2);
  const Strings sources = List(steps[1].made_from());
  CHECK(std::count(sources.begin(), sources.end(), "/src/a.c") == 1);
  CHECK(std::count(sources.begin(), sources.end(), "/src/b.c") == 0);
}

TEST_CASE("Generated sources and tools are followed to what they were made from") {
  Recording recording;
  const CommandId make = recording.Add(0, {"make"});
  const CommandId generator = recording.Add(make, {"./gen"});
  const CommandId cc = recording.Add(make, {"cc"});
  const CommandId before = recording.Add(make, {"cc", "gen.c"});
  recording.Use(before, "/src/gen.c", kRead);
  recording.Use(before, "/src/gen", kWritten);
  recording.Use(generator, "/src/gen", kRead | kExecuted);
  recording.Use(generator, "/src/list.txt", kRead);
  recording.Use(generator, "/src/list.h", kWritten);
  recording.Use(cc, "/src/list.h", kRead);
  recording.Use(cc, "/src/x.o", kWritten);
  const auto steps = OriginOf(recording, "/src/x.o");
  REQUIRE(Paths(steps) == Strings{"/src/x.o", "/src/list.h", "/src/gen"});
  CHECK(List(steps[1].made_from()) == Strings{"/src/gen", "/src/list.txt"});
  CHECK(steps[2].depth() == 2);
}

TEST_CASE("A renamed file was made from what it was before") {
  Recording recording;
  const CommandId make = recording.Add(0, {"make"});
  const CommandId echo = recording.Add(make, {"gen"});
  const CommandId mv = recording.Add(make, {"mv"});
  recording.Use(echo, "/src/in", kRead);
  recording.Use(echo, "/src/a.tmp", kWritten);
  recording.Use(mv, "/src/a.tmp", kRemoved);
  recording.Use(mv, "/src/a", kWritten);
  const auto steps = OriginOf(recording, "/src/a");
  CHECK(Paths(steps) == Strings{"/src/a", "/src/a.tmp"});
  CHECK(List(steps[1].made_from()) == Strings{"/src/in"});
}

TEST_CASE("Files that are made from each other end the search") {
  Recording recording;
  const CommandId a = recording.Add(0, {"a"});
  const CommandId b = recording.Add(0, {"b"});
  recording.Use(a, "/x", kRead | kWritten);
  recording.Use(a, "/y", kRead | kWritten);
  recording.Use(b, "/y", kRead | kWritten);
  recording.Use(b, "/x", kRead | kWritten);
  CHECK(Paths(OriginOf(recording, "/x")) == Strings{"/x", "/y"});
}

TEST_CASE("A file is at the end of its shortest way") {
  Recording recording;
  const CommandId a = recording.Add(0, {"a"});
  const CommandId b = recording.Add(0, {"b"});
  const CommandId c = recording.Add(0, {"c"});
  recording.Use(a, "/in", kRead);
  recording.Use(a, "/config.h", kWritten);
  recording.Use(b, "/config.h", kRead);
  recording.Use(b, "/b.o", kWritten);
  recording.Use(c, "/b.o", kRead);
  recording.Use(c, "/config.h", kRead);
  recording.Use(c, "/out", kWritten);
  const auto steps = OriginOf(recording, "/out");
  REQUIRE(Paths(steps) == Strings{"/out", "/b.o", "/config.h"});
  CHECK(steps[2].depth() == 1);
}

TEST_CASE("A source is its own origin") {
  Recording recording;
  recording.Use(recording.Add(0, {"cc"}), "/src/a.c", kRead);
  const auto steps = OriginOf(recording, "/src/a.c");
  REQUIRE(steps.size() == 1);
  CHECK(steps[0].writers().empty());
  CHECK(steps[0].made_from().empty());
}

TEST_CASE("Devices are no sources") {
  Recording recording;
  const CommandId id = recording.Add(0, {"dd"});
  recording.Use(id, "/dev/null", kRead | kWritten);
  recording.Use(id, "/out", kWritten);
  CHECK(OriginOf(recording, "/out")[0].made_from().empty());
}

TEST_CASE("Steps beyond the limit are counted") {
  Recording recording;
  Compile(&recording, recording.Add(0, {"make"}), "/src/a.c", "/tmp/cc1.s", "/src/a.o");
  v1::Selection selection;
  selection.set_file("/src/a.o");
  selection.set_limit(1);
  const auto rows = recording.Report(v1::VIEW_ORIGIN, selection);
  REQUIRE(rows.size() == 3);
  CHECK(rows[2].left_out() == 1);
}

TEST_CASE("A file that nobody used is not found") {
  Recording recording;
  recording.Add(0, {"a"});
  recording.trace.Intern("/src");
  v1::Selection selection;
  for (const char* path : {"/src", "/none", ""}) {
    selection.set_file(path);
    KeepingSink sink;
    CHECK(recording.Write(v1::VIEW_ORIGIN, selection, &sink).code() == absl::StatusCode::kNotFound);
  }
}

TEST_CASE("A long chain of files is followed to its end") {
  Recording recording;
  for (int i = 0; i < 2000; ++i) {
    const CommandId id = recording.Add(0, {"step"});
    recording.Use(id, "/f" + std::to_string(i), kRead);
    recording.Use(id, "/f" + std::to_string(i + 1), kWritten);
  }
  const auto steps = OriginOf(recording, "/f2000");
  REQUIRE(steps.size() == 2000);
  CHECK(steps.back().depth() == 1999);
}

}  // namespace
}  // namespace ocpwatch
