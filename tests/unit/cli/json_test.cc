#include "cli/render/json.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>

#include "cli/render/renderer.h"

namespace ocpwatch {
namespace {

namespace json = google::protobuf::util;

std::string Theirs(const google::protobuf::Message& message) {
  json::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  REQUIRE(json::MessageToJsonString(message, &text, options).ok());
  return text;
}

std::string Ours(const google::protobuf::Message& message) {
  std::string text;
  AppendJson(message, &text);
  return text;
}

// The same members with the same text, in whatever order: ours is that of the .proto file.
bool Same(const google::protobuf::Message& message) {
  const auto sorted = [](std::string text) {
    std::sort(text.begin(), text.end());
    return text;
  };
  const std::unique_ptr<google::protobuf::Message> back(message.New());
  return json::JsonStringToMessage(Ours(message), back.get()).ok() &&
         json::MessageDifferencer::Equals(message, *back) && sorted(Ours(message)) == sorted(Theirs(message));
}

v1::Command Compiler() {
  v1::Command command;
  command.set_id(3);
  command.set_parent_id(1);
  command.set_pid(4711);
  command.add_argv("gcc");
  command.add_argv("-DX=\"a b\"");
  command.set_executable("/usr/bin/gcc");
  command.set_cwd("/src");
  command.set_start_ns(1'000'000'000'000);
  command.set_end_ns(1'000'000'000'001);
  command.set_exit_status(0);
  command.add_reads("/src/a.c");
  command.add_writes("/src/a.o");
  command.set_depth(1);
  return command;
}

v1::ReportRow RowOf(const v1::Command& command) {
  v1::ReportRow row;
  *row.mutable_command() = command;
  return row;
}

TEST_CASE("JSON is what protobuf itself writes") {
  CHECK(Same(Compiler()));
  CHECK(Same(v1::Command()));
  CHECK(Same(v1::StatusReply()));
  v1::ListSessionsReply sessions;
  sessions.add_sessions()->set_state(v1::SESSION_FINISHED);
  sessions.mutable_sessions(0)->set_complete(true);
  sessions.add_sessions()->set_end_unknown("the client went away");
  CHECK(Same(sessions));
  v1::RunRequest run;
  run.mutable_start()->add_argv(std::string("\xff\x00\x01", 3));
  run.mutable_start()->set_cwd("/ä");
  CHECK(Same(run));
}

TEST_CASE("A reader gets back what was written, whatever the text") {
  v1::File file;
  file.set_path("/tmp/\033[2J\n\t\"q\\\\\x7f\xc2\x9b\xe2\x80\xae\xe2\x81\xa6 <&> 日本 \xf0\x9f\x98\x80");
  v1::File back;
  REQUIRE(json::JsonStringToMessage(Ours(file), &back).ok());
  CHECK(json::MessageDifferencer::Equals(file, back));
  for (const char c : Ours(file)) CHECK(static_cast<unsigned char>(c) >= 0x20);
}

TEST_CASE("A document written row by row is the document") {
  v1::Document document;
  document.mutable_session()->set_id("12");
  *document.add_commands() = Compiler();
  *document.add_commands() = Compiler();
  document.add_files()->set_path("/src/a.c");
  document.mutable_files(0)->add_read_by(3);

  std::string text;
  Output out(&text);
  const auto renderer = NewJsonDocument(v1::VIEW_DOCUMENT, &out);
  v1::ReportRow row;
  *row.mutable_session() = document.session();
  renderer->Add(&row);
  for (const v1::Command& command : document.commands()) {
    row = RowOf(command);
    renderer->Add(&row);
  }
  *row.mutable_file() = document.files(0);
  renderer->Add(&row);
  renderer->Finish();

  v1::Document back;
  REQUIRE(json::JsonStringToMessage(text, &back).ok());
  CHECK(json::MessageDifferencer::Equals(document, back));
}

TEST_CASE("A document without rows has its empty lists") {
  std::string text;
  Output out(&text);
  const auto renderer = NewJsonDocument(v1::VIEW_DOCUMENT, &out);
  v1::ReportRow row;
  row.mutable_session()->set_id("1");
  renderer->Add(&row);
  renderer->Finish();
  CHECK(text.find("\"commands\": []") != std::string::npos);
  CHECK(text.find("\"files\": []") != std::string::npos);
}

TEST_CASE("Rows that the limit cut off are told once") {
  std::string text;
  Output out(&text);
  const auto renderer = NewJsonDocument(v1::VIEW_COMMANDS, &out);
  v1::ReportRow row = RowOf(Compiler());
  renderer->Add(&row);
  row.set_left_out(5);
  renderer->Add(&row);
  renderer->Finish();
  CHECK(text.find("\"left_out\": \"5\"") != std::string::npos);
  CHECK(text.find("\"files\"") == std::string::npos);
}

TEST_CASE("JSON lines have a line for each row and none for the session") {
  std::string text;
  Output out(&text);
  const auto renderer = NewJsonLines(&out);
  v1::ReportRow row;
  row.mutable_session()->set_id("1");
  renderer->Add(&row);
  row.mutable_event()->set_path("/a");
  renderer->Add(&row);
  renderer->Add(&row);
  renderer->Finish();
  CHECK(text == Ours(row.event()) + "\n" + Ours(row.event()) + "\n");
}

}  // namespace
}  // namespace ocpwatch
