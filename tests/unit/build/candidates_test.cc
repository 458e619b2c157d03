#include "daemon/build/candidates.h"

#include <catch2/catch.hpp>

#include "tests/unit/store/store_world.h"

namespace ocpwatch {
namespace {

// Records of one command, which reads the file "in", and decisions about them.
class Candidacy {
 public:
  Candidacy() : store_(files_.Open()) {}

  void Write(const std::string& content) { files_.Write("in", content); }
  std::string Path(const std::string& name) const { return files_.Path(name); }
  void Put(const std::string& content, const std::string& input) {
    REQUIRE(store_->Put(Record("a", input, content, Path("out"), *store_->PutBytes(content))).ok());
  }
  // Another decision: nothing is known of files.
  CandidateRecords Decide() {
    present_.emplace(store_.get(), &absent_);
    return {store_.get(), std::string(31, '.') + "a", &temporaries_};
  }
  std::optional<std::string> Against(const CandidateRecords& candidates, size_t place) {
    const std::optional<Mismatch> mismatch = candidates.StillAgainst(place, present());
    return mismatch.has_value() ? std::optional(mismatch->path) : std::nullopt;
  }
  Present* present() { return &*present_; }
  Store* store() { return store_.get(); }
  // The command is told of a file of that name, which libc has drawn at random.
  void DrawName(const std::string& path) {
    v1::Fingerprint key;
    key.add_argv(path);
    temporaries_ = Temporaries::Of({path}, &key);
    canonical_ = key.argv(0);
  }
  const std::string& canonical() const { return canonical_; }

 private:
  StoreWorld files_;
  std::unique_ptr<DiskStore> store_;
  AbsentNames absent_;
  std::optional<Present> present_;
  Temporaries temporaries_;
  std::string canonical_;
};

TEST_CASE("what has spoken against a record does so as long as the file is another") {
  Candidacy world;
  world.Write("two");
  world.Put("one", world.Path("in"));
  world.Put("two", world.Path("in"));
  {
    CandidateRecords first = world.Decide();
    REQUIRE(first.size() == 2);
    CHECK_FALSE(world.Against(first, 1).has_value());  // Nothing is known yet.
    first.NoteMismatch(1, world.Path("in"), world.present());
    first.NoteMismatch(0, world.Path("in"), world.present());  // But that one holds.
  }
  const CandidateRecords second = world.Decide();
  CHECK_FALSE(world.Against(second, 0).has_value());
  CHECK(world.Against(second, 1) == world.Path("in"));
  world.Write("one");
  const CandidateRecords third = world.Decide();
  CHECK_FALSE(world.Against(third, 1).has_value());
}

TEST_CASE("it is known by the name that a temporary file has in this run") {
  Candidacy world;
  world.DrawName(world.Path("ccAAAAAA.s"));
  world.Put("one", world.canonical());
  world.DrawName(world.Path("ccBBBBBB.s"));
  std::ofstream(world.Path("ccBBBBBB.s")) << "two";
  CandidateRecords first = world.Decide();
  REQUIRE(first.Get(0) != nullptr);
  CHECK(first.Get(0)->record.observations(0).path() == world.Path("ccBBBBBB.s"));
  first.NoteMismatch(0, world.Path("ccBBBBBB.s"), world.present());
  world.DrawName(world.Path("ccCCCCCC.s"));
  std::ofstream(world.Path("ccCCCCCC.s")) << "two";
  CHECK(world.Against(world.Decide(), 0) == world.Path("ccCCCCCC.s"));
  std::ofstream(world.Path("ccCCCCCC.s")) << "one";
  CHECK_FALSE(world.Against(world.Decide(), 0).has_value());
}

TEST_CASE("a mere look is not noted: it may be one that does not count") {
  Candidacy world;
  v1::ActionRecord record = Record("a", world.Path("in"), "", world.Path("out"), *world.store()->PutBytes(""));
  record.mutable_observations(0)->set_content(false);
  record.mutable_observations(0)->clear_digest();
  REQUIRE(world.store()->Put(record).ok());
  CandidateRecords first = world.Decide();
  REQUIRE(first.Get(0) != nullptr);
  REQUIRE(world.present()->Compare(first.Get(0)->record.observations(0), /*own=*/nullptr).has_value());
  first.NoteMismatch(0, world.Path("in"), world.present());
  CHECK_FALSE(world.Against(world.Decide(), 0).has_value());
}

TEST_CASE("a candidate that was forgotten meanwhile is none") {
  Candidacy world;
  world.Put("one", world.Path("in"));
  CandidateRecords candidates = world.Decide();
  world.store()->Forget(Find(*world.store(), "a").at(0)->id);
  REQUIRE(candidates.size() == 1);
  CHECK(candidates.Get(0) == nullptr);
  CHECK(candidates.Alike().empty());
}

}  // namespace
}  // namespace ocpwatch
