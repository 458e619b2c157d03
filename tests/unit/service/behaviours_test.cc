#include "daemon/service/behaviours.h"

#include <catch2/catch.hpp>
#include <initializer_list>
#include <string>

#include "preload/gencalls/call_table.h"

namespace ocpwatch {
namespace {

absl::Status Change(std::initializer_list<const char*> changes, std::string* behaviours) {
  google::protobuf::RepeatedPtrField<std::string> list;
  for (const char* change : changes) list.Add(change);
  return ChangeBehaviours(list, behaviours);
}

char Of(const std::string& behaviours, const char* function) { return behaviours[FindFunction(function)]; }

TEST_CASE("The defaults are those of the call table, by mode") {
  const std::string record = DefaultBehaviours(v1::MODE_RECORD);
  const std::string build = DefaultBehaviours(v1::MODE_BUILD);
  REQUIRE(record.size() == CallTable().size());
  for (size_t id = 1; id < CallTable().size(); id++) {
    CHECK(record[id] == static_cast<char>(CallTable()[id].record));
    CHECK(build[id] == static_cast<char>(CallTable()[id].build));
  }
}

TEST_CASE("A function is changed by its name or an alias, a family at once, in order") {
  std::string behaviours = DefaultBehaviours(v1::MODE_RECORD);
  REQUIRE(Change({"family:stat=off", "stat=before+after", "open64=synchronous"}, &behaviours).ok());
  CHECK(Of(behaviours, "stat") == v1::BEHAVIOUR_BEFORE_AND_AFTER);
  CHECK(Of(behaviours, "lstat") == v1::BEHAVIOUR_OFF);
  CHECK(Of(behaviours, "open") == v1::BEHAVIOUR_SYNCHRONOUS);
}

TEST_CASE("A change that is not understood changes nothing and names what may have been meant") {
  const std::string before = DefaultBehaviours(v1::MODE_RECORD);
  std::string behaviours = before;
  const auto message = [&](std::initializer_list<const char*> changes) {
    const absl::Status status = Change(changes, &behaviours);
    CHECK(absl::IsInvalidArgument(status));
    return std::string(status.message());
  };
  CHECK_THAT(message({"stat=off", "opne=off"}), Catch::Contains("\"opne\"") && Catch::Contains("open"));
  CHECK_THAT(message({"open=of"}), Catch::Contains("\"of\"") && Catch::Contains("before+after"));
  CHECK_THAT(message({"open"}), Catch::Contains("\"open\"") && Catch::Contains("="));
  CHECK_THAT(message({"family:stats=off"}), Catch::Contains("did you mean stat"));
  CHECK_THAT(message({"family:zzzzzz=off"}), !Catch::Contains("did you mean") && Catch::Contains("xattr"));
  CHECK_THAT(message({"=off"}), Catch::Contains("\"\""));
  CHECK(behaviours == before);
}

}  // namespace
}  // namespace ocpwatch
