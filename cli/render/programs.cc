#include <cstdint>
#include <string>
#include <string_view>

#include "cli/render/json.h"
#include "cli/render/renderer.h"

namespace ocpwatch {
namespace {

class JsonDocument : public Renderer {
 public:
  JsonDocument(v1::View view, Output* out) : view_(view), out_(out) {}

  void Add(v1::ReportRow* taken) override {
    const v1::ReportRow& row = *taken;
    switch (row.body_case()) {
      case v1::ReportRow::kSession:
        return AddMember("session", row.session());
      case v1::ReportRow::kSummary:
        return AddMember("summary", row.summary());
      case v1::ReportRow::kCommand:
        return AddElement("commands", row.command());
      case v1::ReportRow::kFile:
        // Of an origin there is one file, and it is the subject.
        return view_ == v1::VIEW_ORIGIN ? AddMember("file", row.file()) : AddElement("files", row.file());
      case v1::ReportRow::kEvent:
        return AddElement("events", row.event());
      case v1::ReportRow::kOrigin:
        return AddElement("origin", row.origin());
      case v1::ReportRow::kLeftOut:
        left_out_ += row.left_out();
        return;
      case v1::ReportRow::kText:
      case v1::ReportRow::BODY_NOT_SET:
        return;
    }
  }

  void Finish() override {
    CloseList();
    const bool document = view_ == v1::VIEW_DOCUMENT;
    if (document || view_ == v1::VIEW_COMMANDS || view_ == v1::VIEW_TREE) AddEmpty("commands", &had_commands_);
    if (document || view_ == v1::VIEW_FILES) AddEmpty("files", &had_files_);
    if (view_ == v1::VIEW_EVENTS) AddEmpty("events", &had_events_);
    if (view_ == v1::VIEW_ORIGIN) AddEmpty("origin", &had_origin_);
    if (left_out_ > 0) {
      Member("left_out");
      out_->Write("\"" + std::to_string(left_out_) + "\"");
    }
    out_->Write(members_ == 0 ? "{}\n" : "\n}\n");
  }

 private:
  void Member(std::string_view name) {
    line_ = members_++ == 0 ? "{\n\"" : ",\n\"";
    line_ += name;
    line_ += "\": ";
    out_->Write(line_);
  }

  void AddMember(std::string_view name, const google::protobuf::Message& message) {
    CloseList();
    Member(name);
    line_.clear();
    AppendJson(message, &line_);
    out_->Write(line_);
  }

  void AddElement(std::string_view list, const google::protobuf::Message& message) {
    if (list_ == list) {
      line_ = ",\n  ";
    } else {
      CloseList();
      Member(list);
      list_ = list;
      had_commands_ |= list == "commands";
      had_files_ |= list == "files";
      had_events_ |= list == "events";
      had_origin_ |= list == "origin";
      line_ = "[\n  ";
    }
    AppendJson(message, &line_);
    out_->Write(line_);
  }

  void AddEmpty(std::string_view list, bool* had) {
    if (*had) return;
    Member(list);
    out_->Write("[]");
  }

  void CloseList() {
    if (!list_.empty()) out_->Write("\n]");
    list_ = {};
  }

  const v1::View view_;
  Output* const out_;
  int members_ = 0;
  uint64_t left_out_ = 0;
  std::string_view list_;  // The list that is open; empty: none.
  bool had_commands_ = false;
  bool had_files_ = false;
  bool had_events_ = false;
  bool had_origin_ = false;
  std::string line_;
};

class JsonLines : public Renderer {
 public:
  explicit JsonLines(Output* out) : out_(out) {}

  void Add(v1::ReportRow* taken) override {
    const v1::ReportRow& row = *taken;
    const google::protobuf::Message* message = nullptr;
    if (row.has_command()) message = &row.command();
    if (row.has_file()) message = &row.file();
    if (row.has_event()) message = &row.event();
    if (row.has_origin()) message = &row.origin();
    if (row.has_summary()) message = &row.summary();
    if (message == nullptr) return;
    line_.clear();
    AppendJson(*message, &line_);
    line_ += '\n';
    out_->Write(line_);
  }

 private:
  Output* const out_;
  std::string line_;
};

class Verbatim : public Renderer {
 public:
  explicit Verbatim(Output* out) : out_(out) {}
  void Add(v1::ReportRow* row) override { out_->Write(row->text()); }

 private:
  Output* const out_;
};

}  // namespace

std::unique_ptr<Renderer> NewJsonDocument(v1::View view, Output* out) {
  return std::make_unique<JsonDocument>(view, out);
}
std::unique_ptr<Renderer> NewJsonLines(Output* out) { return std::make_unique<JsonLines>(out); }
std::unique_ptr<Renderer> NewVerbatim(Output* out) { return std::make_unique<Verbatim>(out); }

}  // namespace ocpwatch
