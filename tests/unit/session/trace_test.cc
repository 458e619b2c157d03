#include "daemon/session/trace.h"

#include <catch2/catch.hpp>

#include "daemon/session/stored_model.h"

namespace ocpwatch {
namespace {

TEST_CASE("Uses of one path by one command are joined") {
  Trace trace;
  const CommandId command = trace.NewCommand().id;
  const PathId path = trace.Intern("/a");
  CHECK(trace.Intern("/a") == path);
  trace.AddUse(command, path, kMissing, 5, ENOENT);
  trace.AddUse(command, path, kRead, 6);
  const Command& found = *trace.Find(command);
  REQUIRE(found.uses.size() == 1);
  CHECK(found.uses[0].kinds == (kMissing | kRead));
  CHECK(found.uses[0].count == 2);
  CHECK(found.uses[0].first_ns == 5);
  CHECK(found.uses[0].error == ENOENT);
}

TEST_CASE("A use of what does not exist is ignored") {
  Trace trace;
  trace.AddUse(1, trace.Intern("/a"), kRead, 1);
  const CommandId command = trace.NewCommand().id;
  trace.AddUse(command, 1000, kRead, 1);
  trace.AddUse(command, kNoPath, kRead, 1);
  trace.AddUse(0, 0, kRead, 1);
  CHECK(trace.Find(command)->uses.empty());
}

TEST_CASE("Only the newest command can be taken back, with its uses") {
  Trace trace;
  trace.NewCommand();
  const CommandId second = trace.NewCommand().id;
  const PathId path = trace.Intern("/a");
  trace.AddUse(second, path, kRead, 1);
  CHECK_FALSE(trace.DropNewest(1));
  CHECK(trace.DropNewest(second));
  CHECK(trace.Find(second) == nullptr);
  CHECK(trace.NewCommand().id == second);
  trace.AddUse(second, path, kWritten, 2);
  REQUIRE(trace.Find(second)->uses.size() == 1);
  CHECK(trace.Find(second)->uses[0].kinds == kWritten);
}

void Fill(Trace* trace, int commands, int uses) {
  trace->truth.set_complete(false);
  trace->truth.add_notes("a note");
  trace->end.set_signal(9);
  trace->end.set_time_ns(77);
  trace->events = 12345;
  trace->processes = 3;
  trace->calls = {0, 4, 5};
  for (int c = 1; c <= commands; ++c) {
    Command& command = trace->NewCommand();
    command.parent = static_cast<CommandId>(c - 1);
    command.process = static_cast<uint32_t>(c);
    command.pid = 100 + c;
    command.argv = {"cc", "-c", "a\xff.c"};
    command.executable = "/usr/bin/cc";
    command.cwd = "/src";
    command.start_ns = static_cast<uint64_t>(c);
    command.end_ns = static_cast<uint64_t>(c) + 5;
    command.end = v1::END_SIGNAL;
    command.end_value = 11;
    command.opaque = v1::OPAQUE_GO;
    command.opaque_detail = "why";
    command.forks = 2;
    for (int u = 0; u < uses; ++u) {
      trace->AddUse(command.id, trace->Intern("/src/" + std::to_string(u)), kRead, static_cast<uint64_t>(u), u % 3);
    }
  }
}

TEST_CASE("A stored model is loaded as it was, in one part or in many") {
  const auto [commands, uses] = GENERATE(std::pair{0, 0}, std::pair{3, 4}, std::pair{2, 50000}, std::pair{9000, 3});
  Trace trace;
  Fill(&trace, commands, uses);
  const v1::StoredModel whole = StoreModel(trace);
  Trace loaded;
  int parts = 0;
  REQUIRE(StoreModel(trace, [&](const v1::StoredModel& part) {
            ++parts;
            CHECK(part.ByteSizeLong() < 3 * kPartBytes);
            return LoadModelPart(part, &loaded);
          }).ok());
  if (commands * uses > 20000) CHECK(parts > 1);
  CHECK(StoreModel(loaded).SerializeAsString() == whole.SerializeAsString());
}

TEST_CASE("A summary that cannot be is refused") {
  v1::StoredModel part;
  SECTION("a use of a path that is not there") {
    part.add_commands()->set_id(1);
    part.mutable_commands(0)->add_uses()->set_path(5);
  }
  SECTION("a command that skips an id") { part.add_commands()->set_id(2); }
  SECTION("a command without an id") { part.add_commands()->set_id(0); }
  SECTION("a command that is its own parent") {
    part.add_commands()->set_id(1);
    part.mutable_commands(0)->set_parent_id(1);
  }
  SECTION("a command that goes on after the next one") {
    for (const uint32_t id : {1, 2, 1}) part.add_commands()->set_id(id);
  }
  SECTION("a path twice") {
    part.add_paths("/a");
    part.add_paths("/a");
  }
  Trace trace;
  CHECK(LoadModelPart(part, &trace).code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("A use that is stored twice is loaded once") {
  v1::StoredModel part;
  part.add_paths("/a");
  for (const uint32_t id : {1, 1, 2}) {
    part.add_commands()->set_id(id);
    for (int i = 0; i < 2; ++i) part.mutable_commands()->rbegin()->add_uses()->set_kinds(kRead);
  }
  Trace trace;
  REQUIRE(LoadModelPart(part, &trace).ok());
  REQUIRE(trace.commands().size() == 2);
  CHECK(trace.Find(1)->uses.size() == 1);
  CHECK(trace.Find(2)->uses.size() == 1);
}

TEST_CASE("The memory that a model says it needs grows with it") {
  Trace small;
  Fill(&small, 1, 10);
  Trace large;
  Fill(&large, 10, 1000);
  CHECK(large.MemoryUse() > small.MemoryUse() + sizeof(Use) * 10 * 1000);
}

}  // namespace
}  // namespace ocpwatch
