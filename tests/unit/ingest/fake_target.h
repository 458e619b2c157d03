// A session that only remembers what it was given.
#ifndef OCPWATCH_TESTS_UNIT_INGEST_FAKE_TARGET_H_
#define OCPWATCH_TESTS_UNIT_INGEST_FAKE_TARGET_H_

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/ingest/ingest_target.h"
#include "daemon/ingest/ring.h"

namespace ocpwatch {

struct Damage {
  uint32_t process;
  std::string what;
  uint64_t frames;
};

class FakeTarget final : public IngestTarget, public FrameSink, public CallDecider {
 public:
  explicit FakeTarget(uint64_t data_size = kRingDataSize) {
    RingOptions options;
    options.data_size = data_size;
    auto ring = Ring::Create(options);
    REQUIRE(ring.ok());
    ring_ = std::move(*ring);
  }

  FrameSink& sink() override { return *this; }
  CallDecider& decider() override { return *this; }
  Ring& ring() override { return *ring_; }
  bool ProcessAlive(uint32_t process) const override {
    const std::lock_guard lock(own_);
    return dead_.count(process) == 0;
  }

  void OnFrame(const v1::Frame& frame, std::string_view bytes) override {
    const std::lock_guard lock(own_);
    if (keep) frames_.push_back(frame);
    const int64_t serial = frame.after().result();
    if (frame.has_after() && serial != next_[frame.process()]++) ++out_of_order_;
    ++count_;
    bytes_ += bytes.size();
  }
  void OnDamage(uint32_t process, std::string_view what, uint64_t frames) override {
    const std::lock_guard lock(own_);
    damage_.push_back({process, std::string(what), frames});
  }
  bool OnIdle() override {
    const std::lock_guard lock(own_);
    if (idle_work_ == 0) return false;
    frames_before_idle_work_ = count_;
    return --idle_work_ > 0;
  }
  std::optional<v1::Reply> Decide(const v1::Frame& frame, bool must, EarlyAnswer early) override {
    if (!must && later_ > 0 && later_-- > 0) return std::nullopt;
    v1::Reply reply;
    if (frame.before().value() == 0) {
      reply.mutable_proceed();
    } else {
      reply.mutable_kill()->set_exit_status(static_cast<int>(frame.before().value()));
    }
    if (after_early) {
      early(reply);
      after_early();
    }
    return reply;
  }

  void Kill(uint32_t process) {
    const std::lock_guard lock(own_);
    dead_.insert(process);
  }
  std::vector<v1::Frame> frames() const {
    const std::lock_guard lock(own_);
    return frames_;
  }
  std::vector<Damage> damage() const {
    const std::lock_guard lock(own_);
    return damage_;
  }
  uint64_t count() const {
    const std::lock_guard lock(own_);
    return count_;
  }
  uint64_t out_of_order() const {
    const std::lock_guard lock(own_);
    return out_of_order_;
  }

  // Pieces of something to do once there is nothing to read, how many of them are left, and how many frames had come
  // before the last that was done.
  void SetIdleWork(int pieces) {
    const std::lock_guard lock(own_);
    idle_work_ = pieces;
  }
  int idle_work() const {
    const std::lock_guard lock(own_);
    return idle_work_;
  }
  uint64_t frames_before_idle_work() const {
    const std::lock_guard lock(own_);
    return frames_before_idle_work_;
  }

  // The next so many questions get no answer at once.
  void AnswerLater(int questions) { later_ = questions; }

  std::function<void()>
      after_early;   // Answers early, if there is one, and then calls it. Set before any question comes.
  bool keep = true;  // The frames, not only their number. Set before any comes.

 private:
  mutable std::mutex own_;
  std::unique_ptr<Ring> ring_;
  std::vector<v1::Frame> frames_;
  std::vector<Damage> damage_;
  std::set<uint32_t> dead_;
  std::map<uint32_t, int64_t> next_;  // Serial number (TestFrame) that each process has to send next.
  uint64_t count_ = 0;
  int idle_work_ = 0;
  uint64_t frames_before_idle_work_ = 0;
  uint64_t bytes_ = 0;
  uint64_t out_of_order_ = 0;
  std::atomic<int> later_{0};
};

}  // namespace ocpwatch

#endif  // OCPWATCH_TESTS_UNIT_INGEST_FAKE_TARGET_H_
