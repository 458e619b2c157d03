// A connection of intercept.sock on any bytes, in pieces whose size the first byte tells. Tokens that begin with "A"
// are those of a running session.
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "daemon/ingest/intercept_connection.h"
#include "daemon/ingest/ring.h"
#include "tests/fuzz/check.h"

namespace {

class Target final : public ocpwatch::IngestTarget, public ocpwatch::FrameSink {
 public:
  ocpwatch::FrameSink& sink() override { return *this; }
  ocpwatch::Ring& ring() override { return *ring_; }
  bool ProcessAlive(uint32_t) const override { return true; }
  void OnFrame(const ocpwatch::v1::Frame& frame, std::string_view bytes) override {
    // The greeting comes first, and nothing after damage.
    FUZZ_CHECK(frames > 0 || frame.has_proc());
    FUZZ_CHECK(damage == 0 && !bytes.empty());
    ++frames;
  }
  void OnDamage(uint32_t process, std::string_view, uint64_t) override {
    FUZZ_CHECK(process != 0);
    FUZZ_CHECK(++damage == 1);
  }
  int frames = 0;
  int damage = 0;

 private:
  const std::unique_ptr<ocpwatch::Ring> ring_ = std::move(ocpwatch::Ring::Create({}).value());
};

class Directory final : public ocpwatch::SessionDirectory {
 public:
  std::shared_ptr<ocpwatch::IngestTarget> Find(std::string_view token) override {
    FUZZ_CHECK(token.size() == 16);
    return token[0] == 'A' ? target : nullptr;
  }
  const std::shared_ptr<Target> target = std::make_shared<Target>();
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Directory directory;
  static ocpwatch::FrameDecoder decoder;
  if (size == 0) return 0;
  directory.target->frames = 0;
  directory.target->damage = 0;
  int pair[2];
  FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
  const ocpwatch::UniqueFd process(pair[1]);
  ocpwatch::InterceptConnection connection(ocpwatch::UniqueFd(pair[0]), directory, decoder, 1);
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t piece = 1 + data[0];
  int64_t now_ns = 1;
  bool open = true;
  for (size_t at = 1; at < bytes.size() && open; at += piece) {
    open = connection.Receive(bytes.substr(at, piece), ++now_ns);
    FUZZ_CHECK(connection.held() <= 2 * size);
  }
  FUZZ_CHECK(!open || connection.greeted() || connection.waiting_since_ns() > 0);
  return 0;
}
