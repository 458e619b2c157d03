#include "daemon/build/temporaries.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace ocpwatch {
namespace {

v1::Fingerprint KeyOf(std::vector<std::string> argv) {
  v1::Fingerprint key;
  key.mutable_argv()->Assign(argv.begin(), argv.end());
  return key;
}

TEST_CASE("Commands that differ in random names alone have one key, numbered as they are mentioned") {
  v1::Fingerprint one = KeyOf({"as", "-o", "/tmp/ccBBBBBB.o", "--in=/tmp/ccAAAAAA.s"});
  v1::Fingerprint other = KeyOf({"as", "-o", "/tmp/ccDDDDDD.o", "--in=/tmp/ccCCCCCC.s"});
  CHECK(Temporaries::Of({"/tmp/ccAAAAAA.s", "/tmp/ccBBBBBB.o", "/tmp/ccUNUSED.x"}, &one).empty() == false);
  Temporaries::Of({"/tmp/ccDDDDDD.o", "/tmp/ccCCCCCC.s"}, &other);
  CHECK(one.SerializeAsString() == other.SerializeAsString());
  CHECK(one.argv(2) == "/tmp/<temporary 1>.o");
  CHECK(one.argv(3) == "--in=/tmp/<temporary 2>.s");
}

TEST_CASE("The same name twice is not two names") {
  v1::Fingerprint same = KeyOf({"cmp", "/tmp/ccAAAAAA", "/tmp/ccAAAAAA"});
  v1::Fingerprint two = KeyOf({"cmp", "/tmp/ccAAAAAA", "/tmp/ccBBBBBB"});
  Temporaries::Of({"/tmp/ccAAAAAA"}, &same);
  Temporaries::Of({"/tmp/ccAAAAAA", "/tmp/ccBBBBBB"}, &two);
  CHECK(same.SerializeAsString() != two.SerializeAsString());
}

TEST_CASE("What is literally an argument is no canonical name") {
  v1::Fingerprint literal = KeyOf({"cat", "/tmp/<temporary 1>.o"});
  v1::Fingerprint drawn = KeyOf({"cat", "/tmp/ccAAAAAA.o"});
  CHECK(Temporaries::Of({}, &literal).empty());
  Temporaries::Of({"/tmp/ccAAAAAA.o"}, &drawn);
  CHECK(literal.SerializeAsString() != drawn.SerializeAsString());
}

TEST_CASE("A short name could be anything") {
  v1::Fingerprint key = KeyOf({"cat", "/tmp/abcde"});
  CHECK(Temporaries::Of({"/tmp/abcde"}, &key).empty());
}

TEST_CASE("A record goes from one run's names to another's, with what is beside and below them") {
  v1::Fingerprint key = KeyOf({"prog", "/tmp/dirAAAAAA"});
  const Temporaries recorded = Temporaries::Of({"/tmp/dirAAAAAA"}, &key);
  v1::ActionRecord record;
  record.add_observations()->set_path("/tmp/dirAAAAAA/in");
  record.mutable_observations(0)->set_times(true);
  record.add_observations()->set_path("/usr/include/x.h");
  record.mutable_observations(1)->set_times(true);
  record.add_effects()->set_path("/tmp/dirAAAAAA.log");
  REQUIRE(recorded.Canonicalise(&record));
  CHECK_FALSE(record.observations(0).times());
  CHECK(record.observations(1).times());
  CHECK(MentionsTemporary(record, "made in /tmp/dirAAAAAA/in"));
  CHECK_FALSE(MentionsTemporary(record, "made in a directory"));

  v1::Fingerprint now = KeyOf({"prog", "/tmp/dirBBBBBB"});
  Temporaries::Of({"/tmp/dirBBBBBB"}, &now).Name(&record);
  CHECK(record.observations(0).path() == "/tmp/dirBBBBBB/in");
  CHECK(record.observations(1).path() == "/usr/include/x.h");
  CHECK(record.effects(0).path() == "/tmp/dirBBBBBB.log");
}

TEST_CASE("A name made of the random part elsewhere cannot be followed") {
  v1::Fingerprint key = KeyOf({"as", "/tmp/ccAAAAAA.s"});
  const Temporaries recorded = Temporaries::Of({"/tmp/ccAAAAAA.s"}, &key);
  v1::ActionRecord record;
  record.add_effects()->set_path("/home/ccAAAAAA.lst");
  CHECK_FALSE(recorded.Canonicalise(&record));
}

}  // namespace
}  // namespace ocpwatch
