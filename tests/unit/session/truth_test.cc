#include "daemon/session/truth.h"

#include <catch2/catch.hpp>

#include "daemon/session/session_header.h"
#include "preload/gencalls/call_table.h"
#include "tests/unit/session/events.h"

namespace ocpwatch {
namespace {

TEST_CASE("A complete session has nothing that was not seen") {
  Model m;
  CHECK(NotSeen(m.trace).empty());
}

TEST_CASE("What was not seen is said by reason, with examples") {
  Model m;
  for (uint32_t child = 2; child < 7; ++child) {
    m.Apply(m.frames.Fork(1, child));
    m.Apply(m.frames.Exec(child, "/opt/tool\n" + std::to_string(child), v1::OPAQUE_STATIC));
  }
  v1::Frame lost = m.frames.Next(1);
  lost.mutable_lost()->set_frames(4);
  m.Apply(lost);
  m.Apply(m.frames.Open(42, "x", O_RDONLY, 3));
  const std::vector<std::string> sentences = NotSeen(m.trace);
  REQUIRE(sentences.size() == 4);
  CHECK(sentences[0] ==
        "5 commands were not seen in full: statically linked (tool?2 [2], tool?3 [3], tool?4 [4], ...).");
  CHECK(sentences[1] == "1 command was not seen in full: some of its events were lost (make [1]).");
  CHECK(sentences[2] == "4 events were lost.");
  CHECK(sentences[3] == "Process 42 was not announced; what led to it was not seen.");
}

TEST_CASE("Each reason has its words") {
  CHECK(OpaqueReasonText(v1::OPAQUE_NONE).empty());
  for (int reason = v1::OPAQUE_NONE + 1; reason <= v1::OpaqueReason_MAX; ++reason) {
    if (v1::OpaqueReason_IsValid(reason)) CHECK_FALSE(OpaqueReasonText(static_cast<v1::OpaqueReason>(reason)).empty());
  }
}

TEST_CASE("Notes are bounded in number and length, and printable") {
  Model m;
  v1::StreamDamage damage;
  for (int i = 0; i < 1000; ++i) {
    damage.set_what(std::string(1000, 'x') + "\n" + std::to_string(i));
    m.tracker.OnDamage(damage);
    damage.set_what("bad\n\xff" + std::to_string(i));
    m.tracker.OnDamage(damage);
  }
  CHECK(m.trace.truth.notes_size() <= 101);
  CHECK(m.trace.truth.notes(1) == "bad??0");
  for (const std::string& note : m.trace.truth.notes()) CHECK(note.size() <= 400);
}

TEST_CASE("A header says of each function what it is and what is done with it") {
  v1::SessionHeader header;
  header.set_mode(v1::MODE_RECORD);
  CompleteHeader(&header);
  CHECK(header.functions_size() > 200);
  CHECK(header.ops_size() == header.functions_size());
  CHECK(header.behaviours().size() == static_cast<size_t>(header.ops_size()));
  CHECK(header.functions(0).empty());
  CHECK(header.start_ns() > 0);
  CHECK_FALSE(header.kernel().empty());
  const auto called = [&](const char* function) { return header.functions(FindFunction(function)); };
  CHECK(called("stat") == "stat");
  CHECK(called("__xstat") == "stat");
  CHECK(called("__fxstatat64") == "fstatat");
  CHECK(called("__xmknodat") == "mknodat");
  CHECK(called("__openat64_2") == "openat");
  CHECK(called("__readlink_chk") == "readlink");
  CHECK(called("_exit") == "_exit");
  CHECK(called("renameat2") == "renameat2");
  for (const std::string& name : header.functions()) {
    INFO(name);
    CHECK(name.rfind("__", 0) != 0);
    CHECK(name.rfind("_IO_", 0) != 0);
    CHECK((name.empty() || FindFunction(name) != 0));
  }
  v1::SessionHeader given = TestHeader();
  CompleteHeader(&given);
  CHECK(given.ops_size() == TestHeader().ops_size());
  CHECK(given.start_ns() == TestHeader().start_ns());
}

}  // namespace
}  // namespace ocpwatch
