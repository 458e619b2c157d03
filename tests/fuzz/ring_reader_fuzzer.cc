// The ring reader against a program that writes what it likes where it likes. The input is a script:
//
//   0 n bytes…   a record of n bytes, written as it should be          4 a w   the word of the record at a is w
//   1 h          head is h                                             5 n     n words behind head become garbage
//   2 t          tail is t                                             6       the reader reads
//   3 n          next_process is n                                     7 d     head and tail move on by d
//
// Afterwards the reader comes to an end, and a record written then is passed.
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/ingest/ring_reader.h"
#include "tests/fuzz/check.h"

namespace {

using ocpwatch::FreeWord;
using ocpwatch::MakeWord;
using ocpwatch::Ring;
using ocpwatch::RingReader;
using ocpwatch::WordState;

class Target final : public ocpwatch::IngestTarget, public ocpwatch::FrameSink {
 public:
  Target() {
    ocpwatch::RingOptions options;
    options.data_size = ocpwatch::kMinDataSize;
    ring_ = std::move(Ring::Create(options).value());
  }
  ocpwatch::FrameSink& sink() override { return *this; }
  Ring& ring() override { return *ring_; }
  bool ProcessAlive(uint32_t process) const override { return process % 2 == 0; }
  void OnFrame(const ocpwatch::v1::Frame& frame, std::string_view bytes) override {
    FUZZ_CHECK(frame.process() != 0 && bytes.size() <= ocpwatch::kMaxFrame);
  }
  void OnDamage(uint32_t, std::string_view what, uint64_t) override { FUZZ_CHECK(!what.empty()); }

 private:
  std::unique_ptr<Ring> ring_;
};

class Script {
 public:
  Script(const uint8_t* data, size_t size) : data_(reinterpret_cast<const char*>(data), size) {}
  bool Done() const { return data_.empty(); }
  uint64_t Number(size_t bytes) {
    uint64_t number = 0;
    const std::string_view taken = Bytes(bytes);
    memcpy(&number, taken.data(), taken.size());
    return number;
  }
  std::string_view Bytes(size_t size) {
    const std::string_view taken = data_.substr(0, size);
    data_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view data_;
};

// False if there is no room, or the head is not where a record could begin.
bool Put(Ring& ring, std::string_view bytes) {
  const uint64_t head = ring.header().head;
  const uint64_t span = ocpwatch::SpanForFrame(bytes.size()) * 8;
  const uint64_t to_end = ring.data_size() - (head & (ring.data_size() - 1));
  const uint64_t take = to_end < span ? to_end : span;
  if (head % 8 != 0 || head + take - ring.header().tail > ring.data_size()) return false;
  if (ring.Word(head) != FreeWord(head, ring.data_size())) return false;
  if (take < span) {
    ring.Word(head) = MakeWord(WordState::kSkip, take / 8, 0);
    ring.header().head += take;
    return Put(ring, bytes);
  }
  memcpy(ring.data() + (head & (ring.data_size() - 1)) + 8, bytes.data(), bytes.size());
  ring.Word(head) = MakeWord(WordState::kDone, span / 8, bytes.size());
  ring.header().head += span;
  return true;
}

void Step(Script& script, Ring& ring, RingReader& reader) {
  ocpwatch::RingHeader& header = ring.header();
  switch (script.Number(1) % 8) {
    case 0:
      Put(ring, script.Bytes(script.Number(1)));
      break;
    case 1:
      header.head = script.Number(8);
      break;
    case 2:
      header.tail = script.Number(8);
      break;
    case 3:
      header.next_process = static_cast<uint32_t>(script.Number(4));
      break;
    case 4: {
      const uint64_t at = script.Number(3) * 8;
      ring.Word(header.tail / 8 * 8 + at) = script.Number(8);
      break;
    }
    case 5:
      for (uint64_t i = script.Number(1); i > 0; --i) ring.Word(header.head / 8 * 8 + i * 8) = i * 0x9e3779b97f4a7c15;
      break;
    case 6:
      reader.Drain(100);
      break;
    case 7: {
      const uint64_t distance = script.Number(3);
      header.head += distance;
      header.tail += distance;
      break;
    }
  }
}

// An unfinished record is waited for by the clock; here its writer gives it up.
void GiveUpUnfinished(Ring& ring, uint64_t tail) {
  const uint64_t word = ring.Word(tail);
  if (ocpwatch::StateOf(word) != WordState::kBusy) return;
  ring.Word(tail) = MakeWord(WordState::kSkip, ocpwatch::SpanOf(word), 0);
}

void DrainAll(Ring& ring, RingReader& reader) {
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t ends = reader.ends_seen();
    reader.Drain(1000);
    if (reader.ends_seen() > ends) return;
    GiveUpUnfinished(ring, reader.position());
  }
  FUZZ_CHECK(!"the reader comes to an end");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Target target;
  Ring& ring = target.ring();
  RingReader reader(target);
  for (Script script(data, size); !script.Done();) Step(script, ring, reader);
  DrainAll(ring, reader);
  FUZZ_CHECK(ring.header().head == reader.position());
  FUZZ_CHECK(ring.header().tail == reader.position());
  FUZZ_CHECK(Put(ring, "\x08\x01\x32\x02\x08\x05"));  // Frame{process 1, Lost{5}}
  DrainAll(ring, reader);
  FUZZ_CHECK(ring.header().tail == reader.position());
  return 0;
}
