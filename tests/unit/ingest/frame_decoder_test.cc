#include "daemon/ingest/frame_decoder.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "tests/unit/ingest/ring_test_writer.h"

namespace ocpwatch {
namespace {

v1::Frame ProcFrame(uint32_t process) {
  v1::Frame frame;
  frame.set_process(process);
  frame.set_time_ns(1);
  frame.mutable_proc()->set_kind(v1::Proc::KIND_IMAGE);
  frame.mutable_proc()->set_pid(42);
  frame.mutable_proc()->add_argv("make");
  frame.mutable_proc()->add_argv("-j2");
  return frame;
}

v1::Frame BeforeFrame(uint32_t process) {
  v1::Frame frame;
  frame.set_process(process);
  frame.set_time_ns(2);
  frame.mutable_before()->set_function(3);
  frame.mutable_before()->add_argv("cc");
  frame.mutable_before()->set_path("/usr/bin/cc");
  return frame;
}

v1::Frame LostFrame(uint32_t process) {
  v1::Frame frame;
  frame.set_process(process);
  frame.mutable_lost()->set_frames(9);
  return frame;
}

}  // namespace

TEST_CASE("Every kind of frame is decoded, and none keeps anything of the one before") {
  FrameDecoder decoder;
  for (int round = 0; round < 3; ++round) {
    for (const v1::Frame& frame : {ProcFrame(1), BeforeFrame(2), TestFrame(3, 4), LostFrame(4)}) {
      const std::string bytes = frame.SerializeAsString();
      const v1::Frame* decoded = decoder.Decode(bytes);
      REQUIRE(decoded != nullptr);
      CHECK(decoded->SerializeAsString() == bytes);
    }
    // The same kinds again with nothing in them.
    for (v1::Frame frame : {ProcFrame(1), BeforeFrame(2), TestFrame(3, 4)}) {
      if (frame.has_proc()) frame.mutable_proc()->Clear();
      if (frame.has_before()) frame.mutable_before()->Clear();
      if (frame.has_after()) frame.mutable_after()->Clear();
      const v1::Frame* decoded = decoder.Decode(frame.SerializeAsString());
      REQUIRE(decoded != nullptr);
      CHECK(decoded->SerializeAsString() == frame.SerializeAsString());
    }
  }
}

TEST_CASE("The order of a frame's fields does not matter") {
  const v1::Frame frame = TestFrame(300, 4);
  v1::Frame head;
  head.set_process(frame.process());
  head.set_time_ns(frame.time_ns());
  v1::Frame body = frame;
  body.clear_process();
  body.clear_time_ns();
  FrameDecoder decoder;
  const v1::Frame* decoded = decoder.Decode(body.SerializeAsString() + head.SerializeAsString());
  REQUIRE(decoded != nullptr);
  CHECK(decoded->SerializeAsString() == frame.SerializeAsString());
  // Two bodies: the last one counts, as for protobuf.
  decoded = decoder.Decode(BeforeFrame(300).SerializeAsString() + frame.SerializeAsString());
  REQUIRE(decoded != nullptr);
  CHECK(decoded->has_after());
}

TEST_CASE("Frames that cannot be are refused, with the reason") {
  FrameDecoder decoder;
  v1::Frame frame = TestFrame(7, 0);
  std::string bytes;
  std::string reason;
  uint32_t process = 7;
  SECTION("no process") {
    frame.set_process(0);
    bytes = frame.SerializeAsString();
    reason = "without its process";
    process = 0;
  }
  SECTION("no body") {
    frame.clear_after();
    bytes = frame.SerializeAsString();
    reason = "without a body";
  }
  SECTION("nothing") {
    reason = "without its process";
    process = 0;
  }
  SECTION("torn") {
    bytes = frame.SerializeAsString();
    bytes.pop_back();
    reason = "no protobuf message";
  }
  SECTION("a function out of range") {
    frame.mutable_after()->set_function(kMaxFunctions);
    bytes = frame.SerializeAsString();
    reason = "function";
  }
  SECTION("too long") {
    bytes = frame.SerializeAsString() + std::string(kMaxFrame, '\0');
    reason = "too long";
    process = 0;
  }
  SECTION("a long path") {
    frame.mutable_after()->set_path2(std::string(kMaxPathBytes + 1, 'a'));
    bytes = frame.SerializeAsString();
    reason = "path";
  }
  SECTION("a long result path") {
    frame.mutable_after()->set_result_path(std::string(kMaxPathBytes + 1, 'a'));
    bytes = frame.SerializeAsString();
    reason = "path";
  }
  SECTION("a long cwd") {
    frame = ProcFrame(7);
    frame.mutable_proc()->set_cwd(std::string(kMaxPathBytes + 1, 'a'));
    bytes = frame.SerializeAsString();
    reason = "path";
  }
  SECTION("too many libraries") {
    frame = ProcFrame(7);
    for (int i = 0; i <= kMaxLibraries; ++i) frame.mutable_proc()->add_libraries("x");
    bytes = frame.SerializeAsString();
    reason = "libraries";
  }
  SECTION("an unknown kind") {
    frame = ProcFrame(7);
    frame.mutable_proc()->set_kind(static_cast<v1::Proc::Kind>(99));
    bytes = frame.SerializeAsString();
    reason = "kind";
  }
  SECTION("an unknown opaque reason") {
    frame = BeforeFrame(7);
    frame.mutable_before()->set_opaque(static_cast<v1::OpaqueReason>(999));
    bytes = frame.SerializeAsString();
    reason = "opaque";
  }
  CHECK(decoder.Decode(bytes) == nullptr);
  CHECK(std::string(decoder.reason()).find(reason) != std::string::npos);
  CHECK(decoder.process() == process);
  CHECK(decoder.Decode(TestFrame(1, 0).SerializeAsString()) != nullptr);
}

TEST_CASE("A frame with as many arguments as can be is taken, and its memory not kept") {
  v1::Frame frame = ProcFrame(1);
  frame.mutable_proc()->clear_argv();
  for (int i = 0; i < 120'000; ++i) frame.mutable_proc()->add_argv("");
  FrameDecoder decoder;
  const v1::Frame* decoded = decoder.Decode(frame.SerializeAsString());
  REQUIRE(decoded != nullptr);
  CHECK(decoded->proc().argv_size() == 120'000);
  decoded = decoder.Decode(ProcFrame(1).SerializeAsString());
  REQUIRE(decoded != nullptr);
  CHECK(decoded->proc().SpaceUsedLong() < 10'000);
}

TEST_CASE("A delimited stream is cut at the same places however its bytes arrive") {
  std::string stream;
  for (int i = 0; i < 2000; ++i) stream += Delimited(TestFrame(1, i));
  std::minstd_rand random(1);  // NOLINT(cert-msc51-cpp)
  for (const size_t most : {size_t{1}, size_t{7}, size_t{1000}, stream.size()}) {
    DelimitedReader reader;
    FrameDecoder decoder;
    int64_t next = 0;
    for (size_t at = 0; at < stream.size();) {
      const size_t size = std::min(stream.size() - at, 1 + random() % most);
      reader.Add(std::string_view(stream).substr(at, size));
      at += size;
      std::string_view message;
      while (reader.Next(&message) == DelimitedReader::Result::kMessage) {
        const v1::Frame* frame = decoder.Decode(message);
        REQUIRE(frame != nullptr);
        REQUIRE(frame->after().result() == next++);
      }
      REQUIRE(reader.held() < size_t{64} * 1024 + most + 1000);
    }
    CHECK(next == 2000);
    CHECK_FALSE(reader.partial());
  }
}

TEST_CASE("A length that cannot be ends a delimited stream before its bytes are waited for") {
  const std::string lengths[] = {std::string(1, '\0'), "\x81\x80\x10", "\xff\xff\x7f", "\xff\xff\xff\xff\x0f",
                                 "\xff\xff\xff"};
  for (const std::string& length : lengths) {
    DelimitedReader reader;
    reader.Add(length);
    std::string_view message;
    CHECK(reader.Next(&message) == DelimitedReader::Result::kTooLong);
  }
  DelimitedReader reader;
  reader.Add("\x80\x80\x10");  // kMaxFrame
  std::string_view message;
  CHECK(reader.Next(&message) == DelimitedReader::Result::kNeedMore);
  CHECK(reader.partial());
}

}  // namespace ocpwatch
