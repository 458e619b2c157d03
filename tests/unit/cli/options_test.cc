#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>

#include "cli/client/client.h"
#include "cli/client/paths.h"
#include "cli/client/start_daemon.h"
#include "cli/command.h"
#include "cli/record_options.h"
#include "cli/report_options.h"
#include "cli/units.h"

namespace ocpwatch {
namespace {

ReportPlan Plan(std::vector<std::string> words, ReportOptions options = {}) {
  options.words = std::move(words);
  const absl::StatusOr<ReportPlan> plan = PlanReport(options, "/home/me");
  REQUIRE(plan.ok());
  return *plan;
}

TEST_CASE("A report without arguments is the summary of the last session") {
  const ReportPlan plan = Plan({});
  CHECK(plan.request.view() == v1::VIEW_SUMMARY);
  CHECK(plan.request.session().empty());
  CHECK(plan.format == ReportFormat::kText);
}

TEST_CASE("The first word is a view if it can be one, else a session") {
  CHECK(Plan({"tree"}).request.view() == v1::VIEW_TREE);
  CHECK(Plan({"12"}).request.session() == "12");
  CHECK(Plan({"12"}).request.view() == v1::VIEW_SUMMARY);
  CHECK(Plan({"files", "nightly"}).request.session() == "nightly");
  CHECK(Plan({"files", "nightly"}).request.view() == v1::VIEW_FILES);
  CHECK(Plan({"summary", "tree"}).request.session() == "tree");
}

TEST_CASE("A view may stand behind its session too; of two views the first is the view") {
  CHECK(Plan({"nightly", "files"}).request.session() == "nightly");
  CHECK(Plan({"nightly", "files"}).request.view() == v1::VIEW_FILES);
  CHECK(Plan({"./12.ocplog", "tree"}).request.log() == "/home/me/12.ocplog");
  CHECK(Plan({"./12.ocplog", "tree"}).request.view() == v1::VIEW_TREE);
  CHECK(Plan({"tree", "tree"}).request.session() == "tree");
  CHECK(Plan({"tree", "tree"}).request.view() == v1::VIEW_TREE);
  ReportOptions options;
  options.words = {"12", "13", "tree"};
  CHECK(!PlanReport(options, "/").ok());
}

TEST_CASE("A word with a slash or a log's suffix is a log, made absolute") {
  CHECK(Plan({"./12.ocplog"}).request.log() == "/home/me/12.ocplog");
  CHECK(Plan({"tree", "12.ocplog"}).request.log() == "/home/me/12.ocplog");
  CHECK(Plan({"../you/x"}).request.log() == "/home/you/x");
  CHECK(Plan({"/var/log"}).request.log() == "/var/log");
}

TEST_CASE("Two words of which none is a view are refused with what was meant") {
  ReportOptions options;
  options.words = {"tre", "12"};
  const absl::Status status = PlanReport(options, "/").status();
  CHECK(status.message() == "\"tre\" is no view; did you mean \"ocp-watch report tree\"?");
  options.words = {"tree", "12", "13"};
  CHECK(!PlanReport(options, "/").ok());
}

TEST_CASE("A format chooses what is asked for") {
  ReportOptions options;
  options.json = true;
  CHECK(Plan({}, options).request.view() == v1::VIEW_DOCUMENT);
  CHECK(Plan({"files"}, options).request.view() == v1::VIEW_FILES);
  options.json = false;
  options.format = "compile-commands";
  CHECK(Plan({"12"}, options).request.view() == v1::VIEW_COMPILE_COMMANDS);
  CHECK(Plan({"12"}, options).format == ReportFormat::kExport);
  options.words = {"tree"};
  CHECK(!PlanReport(options, "/").ok());
  options.words = {};
  options.format = "yaml";
  CHECK(!PlanReport(options, "/").ok());
}

TEST_CASE("A selection without a view shows what it selects") {
  ReportOptions options;
  options.under = {"build", "/usr"};
  options.writes = true;
  const ReportPlan plan = Plan({}, options);
  CHECK(plan.request.view() == v1::VIEW_FILES);
  CHECK(plan.request.selection().under(0) == "/home/me/build");
  CHECK(plan.request.selection().under(1) == "/usr");
  ReportOptions failed;
  failed.failed = true;
  CHECK(Plan({}, failed).request.view() == v1::VIEW_COMMANDS);
  ReportOptions file;
  file.file = "lua";
  CHECK(Plan({}, file).request.view() == v1::VIEW_ORIGIN);
  CHECK(Plan({}, file).request.selection().file() == "/home/me/lua");
}

TEST_CASE("An option that may be repeated takes one word each time") {
  ReportOptions options;
  CLI::App parser;
  AddReportOptions(parser, &options);
  std::vector<std::string> arguments = {"files", "--under",   "src", "--under", "doc",
                                        "12",    "--command", "3",   "--limit", "5"};
  std::reverse(arguments.begin(), arguments.end());
  parser.parse(arguments);
  CHECK(options.words == std::vector<std::string>{"files", "12"});
  CHECK(options.under == std::vector<std::string>{"src", "doc"});
  CHECK(options.commands == std::vector<uint32_t>{3});
  CHECK(options.limit == 5);
}

TEST_CASE("Paths are made absolute by their words alone") {
  CHECK(AbsolutePath("a/./b//c/../d", "/x") == "/x/a/b/d");
  CHECK(AbsolutePath("../../..", "/x") == "/");
  CHECK(AbsolutePath("", "/x/y") == "/x/y");
}

TEST_CASE("Ages have a unit") {
  CHECK(*ParseAge("90s") == 90);
  CHECK(*ParseAge("7d") == uint64_t{7} * 86400);
  CHECK(*ParseAge("2w") == uint64_t{14} * 86400);
  for (const char* wrong : {"", "7", "d", "0d", "-1d", "7 d", "7dd", "99999999999999999999s"})
    CHECK(!ParseAge(wrong).ok());
}

TEST_CASE("Changes of calls come from the command line and from files") {
  char path[] = "/tmp/calls-XXXXXX";
  REQUIRE(mkstemp(path) != -1);
  std::ofstream(path) << "# for speed\nstat=off\n  open=before+after, close=off  # and these\n\n";
  const absl::StatusOr<std::vector<std::string>> changes = CallChanges({"family:xattr=off,write=after", path});
  REQUIRE(changes.ok());
  CHECK(*changes ==
        std::vector<std::string>{"family:xattr=off", "write=after", "stat=off", "open=before+after", "close=off"});
  remove(path);
  CHECK(!CallChanges({path}).ok());
}

TEST_CASE("The recorded command's environment has the library behind the user's own") {
  std::string home = "HOME=/h", preload = "LD_PRELOAD=libfakeroot.so", old = "OCP_WATCH=old";
  char* environment[] = {home.data(), preload.data(), old.data(), nullptr};
  CHECK(WatchedEnvironment(environment, "/lib/p.so", "OCP_WATCH=new") ==
        std::vector<std::string>{"HOME=/h", "LD_PRELOAD=libfakeroot.so:/lib/p.so", "OCP_WATCH=new"});
  char* plain[] = {home.data(), nullptr};
  CHECK(WatchedEnvironment(plain, "/lib/p.so", "OCP_WATCH=new") ==
        std::vector<std::string>{"HOME=/h", "LD_PRELOAD=/lib/p.so", "OCP_WATCH=new"});
}

TEST_CASE("A library that has to stand in front of all is followed by what says where it ends") {
  std::string home = "HOME=/h", preload = "LD_PRELOAD=libfakeroot.so";
  char* environment[] = {home.data(), preload.data(), nullptr};
  CHECK(WatchedEnvironment(environment, "/lib/p.so", "OCP_WATCH=new", "libasan.so.8") ==
        std::vector<std::string>{"HOME=/h", "LD_PRELOAD=libasan.so.8::libfakeroot.so:/lib/p.so", "OCP_WATCH=new"});
  char* plain[] = {home.data(), nullptr};
  CHECK(WatchedEnvironment(plain, "/lib/p.so", "OCP_WATCH=new", "libasan.so.8") ==
        std::vector<std::string>{"HOME=/h", "LD_PRELOAD=libasan.so.8::/lib/p.so", "OCP_WATCH=new"});
  CHECK(WatchedEnvironment(environment, "", "OCP_WATCH=new", "libasan.so.8") ==
        std::vector<std::string>{"HOME=/h", "LD_PRELOAD=libfakeroot.so", "OCP_WATCH=new"});
}

TEST_CASE("The daemon gets no more of the environment than where things are") {
  std::string home = "HOME=/h", preload = "LD_PRELOAD=x", proxy = "http_proxy=y", state = "XDG_STATE_HOME=/s";
  char* environment[] = {home.data(), preload.data(), proxy.data(), state.data(), nullptr};
  CHECK(DaemonEnvironment(environment) == std::vector<std::string>{"HOME=/h", "XDG_STATE_HOME=/s"});
}

TEST_CASE("The runtime directory follows XDG_RUNTIME_DIR if that is absolute") {
  const char* before = getenv("XDG_RUNTIME_DIR");
  const std::string saved = before == nullptr ? "" : before;
  setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
  CHECK(RuntimeDirectory() == "/run/user/7/ocp-watch");
  setenv("XDG_RUNTIME_DIR", "relative", 1);
  CHECK(RuntimeDirectory().substr(0, 15) == "/tmp/ocp-watch-");
  setenv("XDG_RUNTIME_DIR", saved.c_str(), 1);
  if (before == nullptr) unsetenv("XDG_RUNTIME_DIR");
}

TEST_CASE("A mistyped word finds its neighbour and a strange one finds none") {
  CHECK(Nearest("reprot", {"record", "report"}) == "report");
  CHECK(Nearest("stauts", {"start", "status", "stop"}) == "status");
  CHECK(Nearest("sess", {"sessions", "stop"}) == "sessions");
  CHECK(Nearest("banana", {"record", "report"}).empty());
}

}  // namespace
}  // namespace ocpwatch
