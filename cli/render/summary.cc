#include <algorithm>
#include <utility>

#include "cli/render/renderer.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/render/words.h"

namespace ocpwatch {
namespace {

// More of the most frequent calls say little and cost the page its shortness.
constexpr int kCalls = 6;
// What could not be seen: in a pipe all of it.
constexpr int kBriefNotes = 8;

class SummaryView : public Renderer {
 public:
  SummaryView(const Style& style, Output* out) : style_(style), out_(out) {}

  void Add(v1::ReportRow* row) override {
    if (row->has_session()) session_ = std::move(*row->mutable_session());
    if (row->has_summary()) WriteAll(row->summary());
  }

 private:
  void WriteAll(const v1::Summary& summary) {
    WriteHead();
    WriteCounts(summary);
    WriteSlowest(summary);
    WriteTruth(summary);
  }

  void Line(std::string_view label, const std::string& text) {
    std::string line(label);
    line.resize(11, ' ');
    out_->Write(style_.Paint(line, Color::kDim) + text + "\n");
  }

  void WriteHead() {
    std::string title = "session " + Printable(session_.id());
    if (!session_.name().empty()) title += " \"" + Printable(session_.name()) + "\"";
    title = style_.Paint(title, Color::kBold) + "  " + StateWord(session_);
    if (session_.state() != v1::SESSION_RUNNING) {
      title += ", " + style_.Paint(EndWord(session_), EndColor(session_));
      if (session_.has_end_unknown()) title += " (" + Printable(session_.end_unknown()) + ")";
    }
    out_->Write(title + "\n");
    const size_t room = style_.width > 11 ? style_.width - 11 : 0;
    Line("command", Truncated(CommandLine(session_.argv()), room, style_.utf8));
    Line("in", Printable(session_.cwd()));
    std::string started = StartedWord(session_);
    if (!session_.host().empty()) started += " on " + Printable(session_.host());
    Line("started", started);
    Line(session_.state() == v1::SESSION_RUNNING ? "so far" : "took", Duration(session_.duration_ns()));
    if (!session_.log().empty()) Line("log", Printable(session_.log()) + " (" + Size(session_.log_bytes()) + ")");
  }

  void WriteCounts(const v1::Summary& summary) {
    out_->Write("\n");
    std::string commands = Count(summary.commands());
    if (summary.failed_commands() > 0) {
      commands += " (" + style_.Paint(Count(summary.failed_commands()) + " failed", Color::kRed) + ")";
    }
    Line("commands", commands + " in " + Counted(summary.processes(), "process", "processes"));
    Line("files", Count(summary.files_read()) + " read, " + Count(summary.files_written()) + " written, " +
                      Count(summary.files_removed()) + " removed, " + Count(summary.files_missing()) +
                      " looked for and missing");
    Line("", Counted(summary.directories_listed(), "directory listed", "directories listed"));
    std::string calls = Count(summary.events());
    for (int i = 0; i < summary.calls_size() && i < kCalls; ++i) {
      calls += i == 0 ? ": " : ", ";
      calls += Printable(summary.calls(i).function()) + " " + Count(summary.calls(i).count());
    }
    if (summary.calls_size() > kCalls) calls += style_.utf8 ? ", …" : ", ...";
    Line("events", calls);
  }

  void WriteSlowest(const v1::Summary& summary) {
    if (summary.slowest().empty()) return;
    out_->Write("\n" + style_.Paint("Slowest commands", Color::kBold) + "\n");
    Table table({{"ID", Column::kRight}, {"TIME", Column::kRight}, {"STATUS"}, {"COMMAND", Column::kShrinks}}, style_,
                out_, 2);
    for (const v1::Command& command : summary.slowest()) {
      table.Add({{std::to_string(command.id())},
                 {Duration(Elapsed(command, session_.duration_ns()))},
                 {StatusWord(command), StatusColor(command)},
                 {CommandLine(command.argv())}});
    }
    table.Finish();
  }

  void WriteTruth(const v1::Summary& summary) {
    if (session_.complete()) {
      out_->Write("\n" + style_.Paint("Everything was seen.", Color::kGreen) + "\n");
      return;
    }
    std::string title = session_.state() == v1::SESSION_RUNNING ? "Not seen so far" : "What was not seen";
    if (summary.opaque_commands() > 0) {
      title += " (" + Counted(summary.opaque_commands(), "command", "commands") + " not observed in full)";
    }
    out_->Write("\n" + style_.Paint(title, Color::kYellow) + "\n");
    const int shown = style_.brief ? std::min(session_.not_seen_size(), kBriefNotes) : session_.not_seen_size();
    for (int i = 0; i < shown; ++i) out_->Write("  - " + Printable(session_.not_seen(i)) + "\n");
    if (shown < session_.not_seen_size()) {
      out_->Write("  - and " + Count(static_cast<uint64_t>(session_.not_seen_size() - shown)) +
                  " more: ocp-watch report | cat\n");
    }
  }

  const Style style_;
  Output* const out_;
  v1::Session session_;
};

}  // namespace

std::unique_ptr<Renderer> NewSummaryView(const Style& style, Output* out) {
  return std::make_unique<SummaryView>(style, out);
}

}  // namespace ocpwatch
