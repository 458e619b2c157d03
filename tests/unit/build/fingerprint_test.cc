#include "daemon/build/fingerprint.h"

#include <catch2/catch.hpp>

namespace ocpwatch {
namespace {

v1::Fingerprint Key(const std::vector<std::string>& environment, const v1::Configuration& configuration = {}) {
  v1::Fingerprint key;
  key.add_argv("cc");
  key.add_argv("-c");
  key.set_cwd("/src");
  key.set_executable("/usr/bin/cc");
  key.set_umask(022);
  key.mutable_environment()->Assign(environment.begin(), environment.end());
  Settle(IgnoredEnvironment(configuration), &key);
  return key;
}

TEST_CASE("The order of variables and those that are ignored make no difference") {
  const std::string one = FingerprintOf(Key({"A=1", "B=2", "SHLVL=1"}));
  CHECK(one.size() == 32);
  CHECK(one == FingerprintOf(Key({"SHLVL=7", "B=2", "_=/bin/x", "A=1"})));
  CHECK(one != FingerprintOf(Key({"A=1", "B=3"})));
  CHECK(one != FingerprintOf(Key({"A=1"})));
}

TEST_CASE("The configuration may ignore more, with any rest behind a star") {
  v1::Configuration configuration;
  configuration.add_ignored_environment("CI_*");
  CHECK(FingerprintOf(Key({"CI_JOB=1", "C=2"}, configuration)) ==
        FingerprintOf(Key({"CI_JOB=2", "C=2"}, configuration)));
  CHECK(FingerprintOf(Key({"C=1"}, configuration)) != FingerprintOf(Key({"C=2"}, configuration)));
}

TEST_CASE("How many commands may run at a time, and where their jobserver is, makes no difference") {
  const auto flags = [](const std::string& value) { return FingerprintOf(Key({"MAKEFLAGS=" + value})); };
  CHECK(flags("w -j2 --jobserver-auth=3,4") == flags("w"));
  CHECK(flags(" -j8 -l4 --jobserver-auth=fifo:/tmp/GMfifo17") == flags(""));
  CHECK(flags("k -j2") != flags(""));
  CHECK(flags("kw -j2") != flags("w -j2"));
  CHECK(flags(" -j2 -- X=a\\ -j2") == flags(" -- X=a\\ -j2"));
  CHECK(flags(" -- X=a\\ -j2") != flags(" -- X=a\\ -j3"));
  CHECK(flags(" -Ia\\ -j2") != flags(" -Ia\\ -j3"));
  CHECK(FingerprintOf(Key({"OTHER=-j2"})) != FingerprintOf(Key({"OTHER=-j3"})));
  CHECK(FingerprintOf(Key({"MAKEFLAGS"})) != FingerprintOf(Key({"MAKEFLAGS="})));
}

TEST_CASE("Which terminal it is makes no difference, but that it is one") {
  const auto print = [](const std::string& variable) { return FingerprintOf(Key({variable})); };
  for (const std::string name : {"MAKE_TERMOUT", "MAKE_TERMERR"}) {
    CHECK(print(name + "=/dev/pts/4") == print(name + "=/dev/pts/11"));
    CHECK(print(name + "=/dev/pts/4") != print("A=1"));
    CHECK(print(name + "=/dev/pts/4") != print(name + "=true"));
  }
  CHECK(print("GPG_TTY=/dev/pts/4") == print("TMUX_PANE=%7"));
  CHECK(print("TERM=xterm") != print("TERM=dumb"));
}

TEST_CASE("The configuration may ignore words of a variable") {
  v1::Configuration configuration;
  configuration.add_ignored_environment("OPTIONS=parallel*");
  CHECK(FingerprintOf(Key({"OPTIONS=nocheck parallel=2"}, configuration)) ==
        FingerprintOf(Key({"OPTIONS=parallel=4 nocheck"}, configuration)));
  CHECK(FingerprintOf(Key({"OPTIONS=nodoc"}, configuration)) != FingerprintOf(Key({"OPTIONS="}, configuration)));
}

TEST_CASE("Where one word ends and the next begins counts") {
  v1::Fingerprint joined = Key({});
  joined.set_argv(0, "cc-");
  joined.set_argv(1, "c");
  CHECK(FingerprintOf(joined) != FingerprintOf(Key({})));
}

TEST_CASE("The difference of two keys is told by its name") {
  const auto difference = [](const v1::Fingerprint& now, const v1::Fingerprint& then) {
    v1::Decision::Reason reason = v1::Decision::REASON_NONE;
    std::string what;
    const std::string text = DifferenceOf(now, then, &reason, &what);
    return std::pair(reason, text);
  };
  const v1::Fingerprint then = Key({"CFLAGS=-O2", "X=1"});
  CHECK(difference(then, then).first == v1::Decision::REASON_NONE);
  CHECK(difference(Key({"CFLAGS=-O3", "X=1"}), then).second == "the variable CFLAGS is \"-O3\" and was \"-O2\"");
  CHECK(difference(Key({"CFLAGS=-O2"}), then).second == "the variable X is not set and was \"1\"");
  CHECK(difference(Key({"CFLAGS=-O2", "X=1", "Y="}), then).second == "the variable Y is new: \"\"");
  v1::Fingerprint now = then;
  now.set_umask(077);
  CHECK(difference(now, then).second == "the umask differs");
  now = then;
  now.set_cwd("/other");
  CHECK(difference(now, then).first == v1::Decision::REASON_ARGUMENTS);
}

}  // namespace
}  // namespace ocpwatch
