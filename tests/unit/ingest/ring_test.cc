#include "daemon/ingest/ring.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <string>
#include <thread>

#include "daemon/ingest/futex.h"
#include "ocpwatch/v1/intercept.pb.h"

namespace ocpwatch {
namespace {

std::unique_ptr<Ring> MakeRing(const RingOptions& options = {}) {
  auto ring = Ring::Create(options);
  REQUIRE(ring.ok());
  return std::move(*ring);
}

}  // namespace

TEST_CASE("A ring cannot be truncated under the daemon by whoever has it") {
  const auto ring = MakeRing();
  const std::string path = "/proc/self/fd/" + std::to_string(ring->fd());
  const UniqueFd other(open(path.c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(other.valid());
  for (const off_t size : {off_t{0}, off_t{4096}, off_t{1} << 30}) {
    CHECK(ftruncate(other.get(), size) == -1);
    CHECK(errno == EPERM);
  }
  CHECK(fcntl(other.get(), F_ADD_SEALS, F_SEAL_WRITE) == -1);
  CHECK(errno == EPERM);
  CHECK(open(path.c_str(), O_RDWR | O_TRUNC | O_CLOEXEC) == -1);
  CHECK(ring->header().magic == kRingMagic);
}

TEST_CASE("A ring's header tells a process all it needs") {
  const unsigned char behaviours[] = {0, 1, 2, 3};
  RingOptions options;
  options.behaviours = behaviours;
  options.collect_environment = true;
  const auto ring = MakeRing(options);
  const RingHeader& header = ring->header();
  CHECK(header.protocol == kProtocol);
  CHECK(header.data_offset == kRingDataOffset);
  CHECK(header.data_size == kRingDataSize);
  CHECK(header.daemon_pid == getpid());
  CHECK(header.collect_environment == 1);
  CHECK(header.next_process == 2);
  CHECK(header.behaviours[3] == 3);
  CHECK(header.behaviours[4] == 0);
  CHECK(std::string_view(reinterpret_cast<const char*>(header.token), 16) == ring->token());
  CHECK((fcntl(ring->fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("Each ring has a token of its own") {
  CHECK(MakeRing()->token() != MakeRing()->token());
  CHECK(MakeRing()->token().size() == 16);
}

TEST_CASE("OCP_WATCH names the ring and ends with the socket's path, whatever is in it") {
  const auto ring = MakeRing();
  const std::string value = ring->WatchVariable(7, 0, 42, "/run/a:b/intercept.sock");
  const std::string begin =
      std::to_string(kProtocol) + ":" + std::to_string(getpid()) + ":" + std::to_string(ring->fd()) + ":";
  CHECK(value.substr(0, begin.size()) == begin);
  CHECK(value.substr(begin.size() + 32) == ":7:0:42:/run/a:b/intercept.sock");
}

TEST_CASE("Closing a ring lets those go on who wait for an answer") {
  const auto ring = MakeRing();
  ReplySlot& slot = ring->header().slots[5];
  slot.state = static_cast<uint32_t>(ReplyState::kWaiting);
  std::thread waiter([&] {
    while (slot.state.load() == static_cast<uint32_t>(ReplyState::kWaiting)) {
      FutexWait(slot.state, static_cast<uint32_t>(ReplyState::kWaiting), -1);
    }
  });
  ring->Close();
  waiter.join();
  v1::Reply reply;
  REQUIRE(reply.ParseFromArray(ring->header().replies[5], static_cast<int>(slot.size)));
  CHECK(reply.has_proceed());
  CHECK(ring->header().state == static_cast<uint32_t>(RingState::kClosed));
}

TEST_CASE("A ring that cannot be is not made") {
  RingOptions options;
  options.data_size = 3 << 20;
  CHECK(Ring::Create(options).status().code() == absl::StatusCode::kInvalidArgument);
  options.data_size = kMaxFrame;
  CHECK(Ring::Create(options).status().code() == absl::StatusCode::kInvalidArgument);
  const std::vector<unsigned char> behaviours(kMaxFunctions + 1);
  options = {};
  options.behaviours = behaviours;
  CHECK(Ring::Create(options).status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("Threads and a session that ends: of two answers at once, one comes whole") {
  const auto ring = MakeRing();
  ReplySlot& slot = ring->header().slots[0];
  v1::Reply reuse;
  v1::Words& words = *reuse.mutable_kill()->add_words();
  words.set_path(std::string(kReplyBytes / 2, 'x'));
  for (int round = 0; round < 2000; ++round) {
    slot.state = static_cast<uint32_t>(ReplyState::kWaiting);
    std::atomic<bool> ready = false;
    std::thread reader([&] {
      ready = true;
      ring->Answer(0, reuse);
    });
    while (!ready) {
    }
    ring->Close();
    reader.join();
    REQUIRE(slot.state == static_cast<uint32_t>(ReplyState::kAnswered));
    v1::Reply reply;
    REQUIRE(reply.ParseFromArray(ring->header().replies[0], static_cast<int>(slot.size)));
    const bool whole = reply.has_proceed() || reply.kill().words(0).path() == words.path();
    REQUIRE(whole);
  }
}

}  // namespace ocpwatch
