#include "daemon/report/selection.h"

#include <catch2/catch.hpp>

namespace ocpwatch {
namespace {

bool TakesPath(const v1::Selection& selection, std::string_view path) { return Selector(selection).TakesPath(path); }

TEST_CASE("Without a selection everything is taken") { CHECK(TakesPath({}, "/any/thing")); }

TEST_CASE("A directory's paths are itself and those below it") {
  v1::Selection selection;
  selection.add_under("/src");
  CHECK(TakesPath(selection, "/src"));
  CHECK(TakesPath(selection, "/src/a/b.c"));
  CHECK_FALSE(TakesPath(selection, "/srcs/a"));
  CHECK_FALSE(TakesPath(selection, "/usr/src/a"));
  selection.set_under(0, "/src//");
  CHECK(TakesPath(selection, "/src/a"));
  selection.set_under(0, "/");
  CHECK(TakesPath(selection, "/src/a"));
  selection.set_under(0, "/none");
  selection.add_under("/src");
  CHECK(TakesPath(selection, "/src/a"));
}

TEST_CASE("A pattern's asterisk crosses slashes") {
  v1::Selection selection;
  selection.add_glob("*.h");
  selection.add_glob("/src/[ab].c");
  CHECK(TakesPath(selection, "/usr/include/stdio.h"));
  CHECK(TakesPath(selection, "/src/b.c"));
  CHECK_FALSE(TakesPath(selection, "/src/c.c"));
}

TEST_CASE("Directory and pattern have both to hold") {
  v1::Selection selection;
  selection.add_under("/src");
  selection.add_glob("*.h");
  CHECK(TakesPath(selection, "/src/a.h"));
  CHECK_FALSE(TakesPath(selection, "/src/a.c"));
  CHECK_FALSE(TakesPath(selection, "/usr/a.h"));
}

TEST_CASE("Kinds are an offer, each of them will do") {
  Trace trace;
  const PathId path = trace.Intern("/a");
  const auto takes = [&](const v1::Selection& selection, uint32_t kinds) {
    return Selector(selection).TakesUse(trace, {.path = path, .kinds = kinds});
  };
  v1::Selection reads;
  reads.set_reads(true);
  CHECK(takes(reads, kRead | kLoaded));
  CHECK_FALSE(takes(reads, kChecked));
  v1::Selection both = reads;
  both.set_writes(true);
  CHECK(takes(both, kWritten));
  CHECK(takes(both, kAttributes));
  CHECK_FALSE(takes(both, kRemoved));
  v1::Selection missing;
  missing.set_missing(true);
  CHECK(takes(missing, kMissing));
  CHECK_FALSE(takes(missing, kMissing | kWritten));
}

TEST_CASE("A command that looked for a file and found it later did not miss it") {
  CHECK(IsMissing({.kinds = kMissing}));
  CHECK(IsMissing({.kinds = kMissing | kDenied}));
  for (const uint32_t found : {kRead, kWritten, kListed, kRemoved, kChecked, kAttributes}) {
    CHECK_FALSE(IsMissing({.kinds = kMissing | found}));
  }
}

TEST_CASE("A file that was read is not listed as looked at too") {
  CHECK(IsChecked({.kinds = kChecked | kDirectory}));
  for (const uint32_t more : {kRead, kWritten, kListed, kRemoved, kAttributes})
    CHECK_FALSE(IsChecked({.kinds = kChecked | more}));
}

TEST_CASE("A failed command ended with a status or by a signal") {
  v1::Selection selection;
  selection.set_failed(true);
  const Selector selector(selection);
  Command command;
  const auto takes = [&](v1::EndKind end, int value) {
    command.end = end;
    command.end_value = value;
    return selector.TakesCommandItself(command);
  };
  CHECK(takes(v1::END_EXIT, 1));
  CHECK(takes(v1::END_SIGNAL, 9));
  CHECK_FALSE(takes(v1::END_EXIT, 0));
  CHECK_FALSE(takes(v1::END_EXEC, 0));
  CHECK_FALSE(takes(v1::END_RUNNING, 0));
  CHECK_FALSE(takes(v1::END_UNKNOWN, 0));
}

TEST_CASE("A command is taken for one of its uses") {
  Trace trace;
  const CommandId id = trace.NewCommand().id;
  trace.AddUse(id, trace.Intern("/src/a.c"), kRead, 1);
  trace.AddUse(id, trace.Intern("/src/a.o"), kWritten, 2);
  v1::Selection selection;
  selection.add_glob("*.o");
  CHECK(Selector(selection).TakesCommand(trace, *trace.Find(id)));
  selection.set_reads(true);
  CHECK_FALSE(Selector(selection).TakesCommand(trace, *trace.Find(id)));
  v1::Selection other;
  other.add_commands(id + 1);
  CHECK_FALSE(Selector(other).TakesCommand(trace, *trace.Find(id)));
  other.add_commands(id);
  CHECK(Selector(other).TakesCommand(trace, *trace.Find(id)));
}

TEST_CASE("A selector notices paths that came after it") {
  Trace trace;
  v1::Selection selection;
  selection.add_under("/src");
  const Selector selector(selection);
  CHECK(selector.TakesUse(trace, {.path = trace.Intern("/src/a")}));
  CHECK_FALSE(selector.TakesUse(trace, {.path = trace.Intern("/b")}));
  CHECK(selector.TakesUse(trace, {.path = trace.Intern("/src/a")}));
}

TEST_CASE("A limit counts what it leaves out") {
  RowLimit limit(2);
  CHECK(limit.Take());
  CHECK_FALSE(limit.is_reached());
  CHECK(limit.Take());
  CHECK(limit.is_reached());
  CHECK_FALSE(limit.Take());
  CHECK(limit.left_out() == 1);
  RowLimit none(0);
  for (int i = 0; i < 100; ++i) CHECK(none.Take());
}

}  // namespace
}  // namespace ocpwatch
