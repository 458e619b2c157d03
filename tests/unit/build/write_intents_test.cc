#include "daemon/build/write_intents.h"

#include <catch2/catch.hpp>

namespace ocpwatch {
namespace {

TEST_CASE("One session alone has no others") {
  WriteIntents intents;
  const auto one = intents.Join();
  intents.Begin(one, "/f");
  CHECK_FALSE(intents.AnyOthers(one));
  CHECK_FALSE(intents.ByOthers(one, "/f", 0));
}

TEST_CASE("Who is at work is seen, whenever the asker began") {
  WriteIntents intents;
  const auto one = intents.Join();
  const auto two = intents.Join();
  intents.Begin(one, "/f");
  CHECK(intents.AnyOthers(two));
  CHECK(intents.ByOthers(two, "/f", intents.Now()));
  CHECK_FALSE(intents.ByOthers(two, "/g", 0));
  CHECK_FALSE(intents.ByOthers(one, "/f", 0));
}

TEST_CASE("What ended since is seen, what ended before is not") {
  WriteIntents intents;
  const auto one = intents.Join();
  const auto two = intents.Join();
  intents.Begin(one, "/f");
  const auto during = intents.Now();
  intents.End(one, "/f");
  CHECK(intents.ByOthers(two, "/f", during));
  CHECK_FALSE(intents.ByOthers(two, "/f", intents.Now()));
}

TEST_CASE("Two commands of a session at work on one path end one by one") {
  WriteIntents intents;
  const auto one = intents.Join();
  const auto two = intents.Join();
  intents.Begin(one, "/f");
  intents.Begin(one, "/f");
  intents.End(one, "/f");
  CHECK(intents.ByOthers(two, "/f", intents.Now()));
  intents.End(one, "/f");
  CHECK_FALSE(intents.ByOthers(two, "/f", intents.Now()));
}

TEST_CASE("Who has left is remembered as long as somebody may ask") {
  WriteIntents intents;
  const auto one = intents.Join();
  const auto two = intents.Join();
  const auto since = intents.Now();
  intents.Begin(one, "/f");
  intents.Leave(one);
  CHECK(intents.ByOthers(two, "/f", since));
  CHECK_FALSE(intents.ByOthers(two, "/f", intents.Now()));
  intents.Leave(two);
  CHECK(intents.size() == 0);
}

TEST_CASE("Sessions that overlap for ever do not fill the memory") {
  WriteIntents intents;
  auto last = intents.Join();
  for (int i = 0; i < 1000; ++i) {
    const auto next = intents.Join();
    intents.Begin(last, "/f" + std::to_string(i));
    intents.Leave(last);
    last = next;
  }
  CHECK(intents.size() <= 2);
}

}  // namespace
}  // namespace ocpwatch
