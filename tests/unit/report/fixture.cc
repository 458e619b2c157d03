#include "tests/unit/report/fixture.h"

#include <catch2/catch.hpp>

namespace ocpwatch {

Recording::Recording() {
  trace.start_ns = 1000;
  session.set_id("7");
  header.set_start_ns(1000);
  header.add_functions("");
  header.add_ops(0);
}

CommandId Recording::Add(CommandId parent, const std::vector<std::string>& argv, const std::string& cwd) {
  Command& command = trace.NewCommand();
  command.parent = parent;
  command.process = command.id;
  command.pid = static_cast<int32_t>(100 + command.id);
  command.argv = argv;
  command.executable = "/usr/bin/" + (argv.empty() ? "" : argv[0].substr(argv[0].rfind('/') + 1));
  command.cwd = cwd;
  command.start_ns = ++now_ns_;
  command.end_ns = 1'000'000;
  command.end = v1::END_EXIT;
  return command.id;
}

void Recording::Use(CommandId command, std::string_view path, uint32_t kinds, int32_t error) {
  trace.AddUse(command, trace.Intern(path), kinds, ++now_ns_, error);
}

absl::Status Recording::Write(v1::View view, const v1::Selection& selection, RowSink* sink) {
  v1::ReportRequest request;
  request.set_view(view);
  *request.mutable_selection() = selection;
  return WriteReport({trace, header, session, log}, request, sink);
}

std::vector<v1::ReportRow> Recording::Report(v1::View view, const v1::Selection& selection) {
  KeepingSink sink;
  const absl::Status status = Write(view, selection, &sink);
  INFO(status.ToString());
  REQUIRE(status.ok());
  REQUIRE_FALSE(sink.rows.empty());
  REQUIRE(sink.rows[0].has_session());
  sink.rows.erase(sink.rows.begin());
  return sink.rows;
}

std::string Recording::Export(v1::View view, const v1::Selection& selection) {
  KeepingSink sink;
  REQUIRE(Write(view, selection, &sink).ok());
  std::string text;
  for (const v1::ReportRow& row : sink.rows) {
    REQUIRE(row.body_case() == v1::ReportRow::kText);
    REQUIRE_FALSE(row.text().empty());
    text += row.text();
  }
  return text;
}

std::vector<std::string> List(const google::protobuf::RepeatedPtrField<std::string>& list) {
  return {list.begin(), list.end()};
}

std::vector<uint32_t> List(const google::protobuf::RepeatedField<uint32_t>& list) { return {list.begin(), list.end()}; }

}  // namespace ocpwatch
