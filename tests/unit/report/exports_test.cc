#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/unit/report/fixture.h"

namespace ocpwatch {
namespace {

using Json = nlohmann::json;

Json CompileCommands(Recording& recording, const v1::Selection& selection = {}) {
  return Json::parse(recording.Export(v1::VIEW_COMPILE_COMMANDS, selection));
}

std::vector<std::string> Files(const Json& entries) {
  std::vector<std::string> files;
  for (const Json& entry : entries) files.push_back(entry["file"]);
  return files;
}

std::vector<Json> Events(const Json& trace, const std::string& phase) {
  std::vector<Json> events;
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] == phase) events.push_back(event);
  }
  return events;
}

TEST_CASE("A session that compiles nothing is an empty database") {
  Recording recording;
  recording.Add(0, {"make"});
  CHECK(CompileCommands(recording) == Json::array());
}

TEST_CASE("An entry is the command as it was given, in its directory") {
  Recording recording;
  const CommandId make = recording.Add(0, {"make"});
  recording.Add(make, {"cc", "-DX=\"a b\"", "-c", "sub/a.c", "-o", "a.o"}, "/src/\"dir\"");
  CHECK(CompileCommands(recording) == Json::array({{{"directory", "/src/\"dir\""},
                                                    {"arguments", {"cc", "-DX=\"a b\"", "-c", "sub/a.c", "-o", "a.o"}},
                                                    {"file", "sub/a.c"},
                                                    {"output", "a.o"}}}));
}

TEST_CASE("Two sources of one command are two entries, each with its output") {
  Recording recording;
  recording.Add(0, {"gcc", "-c", "a.c", "b.c"});
  const Json entries = CompileCommands(recording);
  REQUIRE(Files(entries) == Strings{"a.c", "b.c"});
  CHECK(entries[1]["output"] == "b.o");
  CHECK(entries[0]["arguments"] == entries[1]["arguments"]);
}

TEST_CASE("What a compilation starts is not told again") {
  Recording recording;
  const CommandId make = recording.Add(0, {"make"});
  const CommandId ccache = recording.Add(make, {"ccache", "gcc", "-c", "a.c"});
  const CommandId preprocessor = recording.Add(ccache, {"/usr/bin/gcc", "-E", "a.c"});
  recording.Add(preprocessor, {"cc1", "-E", "a.c"});
  const CommandId gcc = recording.Add(ccache, {"/usr/bin/gcc", "-c", "-o", "/tmp/other.o", "a.c"});
  recording.Add(gcc, {"cc1", "a.c"});
  recording.Add(gcc, {"as", "-o", "a.o", "/tmp/x.s"});
  const Json entries = CompileCommands(recording);
  REQUIRE(entries.size() == 1);
  CHECK(entries[0]["arguments"] == Json({"gcc", "-c", "a.c"}));
}

TEST_CASE("A wrapper that is no compiler by name hides nothing") {
  Recording recording;
  const CommandId script = recording.Add(0, {"/bin/sh", "./libtool", "--mode=compile", "gcc", "-c", "a.c"});
  recording.Add(script, {"gcc", "-c", "a.c", "-fPIC", "-o", ".libs/a.o"});
  recording.Add(script, {"gcc", "-c", "a.c", "-o", "a.o"});
  CHECK(Files(CompileCommands(recording)) == Strings{"a.c", "a.c"});
}

TEST_CASE("A failed compilation is there, a second one of the same is not") {
  Recording recording;
  const CommandId first = recording.Add(0, {"gcc", "-c", "a.c"});
  recording.command(first).end_value = 1;
  recording.Add(0, {"gcc", "-c", "a.c"});
  recording.Add(0, {"gcc", "-c", "a.c"}, "/elsewhere");
  CHECK(CompileCommands(recording).size() == 2);
}

TEST_CASE("A source that the session removed again is left out") {
  Recording recording;
  const CommandId configure = recording.Add(0, {"sh", "configure"});
  recording.Use(configure, "/src/conftest.c", kWritten);
  recording.Use(recording.Add(configure, {"gcc", "-c", "conftest.c"}), "/src/conftest.c", kChecked);
  recording.Use(recording.Add(configure, {"rm", "-f", "conftest.c"}), "/src/conftest.c", kRemoved);
  // Removed first and made then.
  recording.Use(recording.Add(configure, {"rm", "-f", "gen.c"}), "/src/gen.c", kRemoved);
  recording.Use(recording.Add(configure, {"gen"}), "/src/gen.c", kWritten);
  recording.Add(configure, {"gcc", "-c", "./gen.c"});
  // Replaced by one command.
  recording.Use(recording.Add(configure, {"install", "x.c"}), "/src/x.c", kRemoved | kWritten);
  recording.Add(configure, {"gcc", "-c", "x.c"});
  CHECK(Files(CompileCommands(recording)) == Strings{"./gen.c", "x.c"});
}

TEST_CASE("The paths of a selection are the sources'") {
  Recording recording;
  const CommandId first = recording.Add(0, {"gcc", "-c", "lib/a.c", "../main.c"});
  const CommandId second = recording.Add(0, {"gcc", "-c", "lib/b.c"});
  v1::Selection selection;
  selection.add_under("/src/lib");
  CHECK(Files(CompileCommands(recording, selection)) == Strings{"lib/a.c", "lib/b.c"});
  selection.add_commands(second);
  CHECK(Files(CompileCommands(recording, selection)) == Strings{"lib/b.c"});
  recording.command(first).end_value = 1;
  selection.Clear();
  selection.set_failed(true);
  CHECK(Files(CompileCommands(recording, selection)) == Strings{"lib/a.c", "../main.c"});
}

TEST_CASE("Bytes that are not UTF-8 do not spoil an export") {
  Recording recording;
  const CommandId id = recording.Add(0, {"gcc", "-c", "caf\xe9.c", "-DA=\\\\\x01\n"}, "/src/\xff");
  recording.Use(id, "/src/\xff/caf\xe9.c", kRead);
  CHECK(CompileCommands(recording)[0]["file"] == "caf\\xe9.c");
  CHECK(CompileCommands(recording)[0]["arguments"][3] == "-DA=\\\\\x01\n");
  const Json trace = Json::parse(recording.Export(v1::VIEW_CHROME_TRACE));
  CHECK(Events(trace, "X")[0]["args"]["reads"][0] == "/src/\\xff/caf\\xe9.c");
}

TEST_CASE("A long export comes in pieces that are one document") {
  Recording recording;
  for (int i = 0; i < 3000; ++i) recording.Add(0, {"gcc", "-c", "f" + std::to_string(i) + ".c"});
  KeepingSink sink;
  REQUIRE(recording.Write(v1::VIEW_COMPILE_COMMANDS, {}, &sink).ok());
  CHECK(sink.rows.size() > 3);
  for (const v1::ReportRow& row : sink.rows) CHECK(row.text().size() < 100'000);
  CHECK(CompileCommands(recording).size() == 3000);
}

TEST_CASE("A command is a slice on the track of its process") {
  Recording recording;
  const CommandId make = recording.Add(0, {"/usr/bin/make", "all"});
  const CommandId cc = recording.Add(make, {"cc", "-c", "a.c"});
  recording.command(cc).start_ns = 3500;
  recording.command(cc).end_ns = 6000;
  recording.command(cc).end_value = 2;
  recording.Use(cc, "/src/a.c", kRead);
  recording.Use(cc, "/src/a.o", kWritten);
  const Json trace = Json::parse(recording.Export(v1::VIEW_CHROME_TRACE));
  const auto slices = Events(trace, "X");
  REQUIRE(slices.size() == 2);
  CHECK(slices[0]["name"] == "make");
  CHECK(slices[1]["pid"] == 102);
  CHECK(slices[1]["tid"] == 102);
  CHECK(slices[1]["ts"] == 2.5);
  CHECK(slices[1]["dur"] == 2.5);
  const Json& arguments = slices[1]["args"];
  CHECK(arguments["argv"] == Json({"cc", "-c", "a.c"}));
  CHECK(arguments["cwd"] == "/src");
  CHECK(arguments["exit_status"] == 2);
  CHECK(arguments["parent"] == make);
  CHECK(arguments["reads"] == Json({"/src/a.c"}));
  CHECK(arguments["writes"] == Json({"/src/a.o"}));
  std::set<std::string> metadata;
  for (const Json& event : Events(trace, "M")) metadata.insert(event["name"]);
  CHECK(metadata == std::set<std::string>{"process_name", "process_sort_index", "thread_name"});
}

TEST_CASE("Two programs of one process share its track, two processes never do") {
  Recording recording;
  for (int i = 0; i < 4; ++i) recording.Add(0, {"a"});
  recording.command(2).process = recording.command(1).process;
  recording.command(2).pid = recording.command(1).pid;
  recording.command(3).pid = recording.command(1).pid;  // Used again.
  recording.command(4).pid = 0;                         // Never known.
  const auto slices = Events(Json::parse(recording.Export(v1::VIEW_CHROME_TRACE)), "X");
  std::set<std::pair<int64_t, int64_t>> tracks;
  for (const Json& slice : slices) tracks.emplace(slice["pid"], slice["tid"]);
  CHECK(tracks.size() == 3);
  CHECK(slices[0]["tid"] == slices[1]["tid"]);
}

TEST_CASE("Of very many files a slice shows the first") {
  Recording recording;
  const CommandId id = recording.Add(0, {"ar"});
  for (int i = 0; i < 1000; ++i) recording.Use(id, "/f" + std::to_string(i), kRead);
  const Json reads = Events(Json::parse(recording.Export(v1::VIEW_CHROME_TRACE)), "X")[0]["args"]["reads"];
  CHECK(reads.size() == 201);
  CHECK(reads[200] == "... and 800 more");
}

TEST_CASE("What still runs lasts as long as the trace") {
  Recording recording;
  const CommandId make = recording.Add(0, {"make"});
  recording.command(make).start_ns = 1000;
  recording.command(make).end_ns = 0;
  recording.command(make).end = v1::END_RUNNING;
  recording.command(recording.Add(make, {"cc"})).end_ns = 9000;
  CHECK(Events(Json::parse(recording.Export(v1::VIEW_CHROME_TRACE)), "X")[0]["dur"] == 8.0);
}

TEST_CASE("A trace without commands is a trace") {
  Recording recording;
  CHECK(Json::parse(recording.Export(v1::VIEW_CHROME_TRACE))["traceEvents"].empty());
}

TEST_CASE("In a graph the edges point the way the data went") {
  Recording recording;
  const CommandId cc = recording.Add(0, {"cc", "-DX=\"\\\n\x01", "a.c"});
  recording.Use(cc, "/src/a.c", kRead);
  recording.Use(cc, "/src/a.o", kWritten);
  recording.Use(cc, "/usr/include/stdio.h", kRead);
  recording.Use(cc, "/src/none", kMissing, 2);
  v1::Selection selection;
  selection.add_under("/src");
  const std::string text = recording.Export(v1::VIEW_DOT, selection);
  CHECK(text.starts_with("digraph session {\n"));
  CHECK(text.ends_with("}\n"));
  CHECK(text.find("  f0 -> c1;\n") != std::string::npos);
  CHECK(text.find("  c1 -> f1;\n") != std::string::npos);
  CHECK(text.find("label=\"cc -DX=\\\"\\\\\\n  a.c\"") != std::string::npos);
  CHECK(text.find("stdio.h") == std::string::npos);
  CHECK(text.find("none") == std::string::npos);
  CHECK(recording.Export(v1::VIEW_DOT).find("stdio.h") != std::string::npos);
}

TEST_CASE("A label is not cut in the middle of a character") {
  Recording recording;
  recording.Use(recording.Add(0, {std::string(59, 'a') + "ääää"}), "/a", kRead);
  CHECK(recording.Export(v1::VIEW_DOT).find("\\xc3") == std::string::npos);
}

}  // namespace
}  // namespace ocpwatch
