#include <algorithm>
#include <utility>
#include <vector>

#include "cli/render/paths.h"
#include "cli/render/renderer.h"
#include "cli/render/text.h"
#include "cli/render/words.h"

namespace ocpwatch {
namespace {

// Commands below one another, each with its files. Whether a line is the last of its parent's is known only when the
// next ones have come, so the commands are held: 10 000 of them with their files are some 50 MB.
class TreeView : public Renderer {
 public:
  TreeView(const Style& style, Output* out) : style_(style), out_(out) {}

  void Add(v1::ReportRow* row) override {
    if (row->has_session()) session_ = std::move(*row->mutable_session());
    if (row->has_command()) commands_.push_back(std::move(*row->mutable_command()));
    if (row->body_case() == v1::ReportRow::kLeftOut) left_out_ += row->left_out();
  }

  void Finish() override {
    if (commands_.empty() && style_.brief)
      out_->Write("Nothing in session " + Printable(session_.id()) + " matches.\n");
    MarkLast();
    std::vector<bool> more;  // By depth: the ancestor at that depth has siblings to come.
    for (size_t i = 0; i < commands_.size() && !out_->closed(); ++i) {
      const size_t depth = commands_[i].depth();
      more.resize(depth + 1, false);
      std::string stem;
      for (size_t d = 1; d < depth; ++d) stem += more[d] ? Bar() : "   ";
      std::string head = stem;
      if (depth > 0) {
        head += last_[i] ? (style_.utf8 ? "└─ " : "`- ") : (style_.utf8 ? "├─ " : "|- ");
        stem += last_[i] ? "   " : Bar();
      }
      more[depth] = !last_[i];
      const bool children = i + 1 < commands_.size() && commands_[i + 1].depth() > depth;
      WriteCommand(commands_[i], head);
      WriteFiles(commands_[i], stem + (children ? Bar() : "   "));
    }
    if (left_out_ > 0) out_->Write((style_.utf8 ? "… " : "... ") + Count(left_out_) + " more (--limit)\n");
  }

 private:
  std::string Bar() const { return style_.utf8 ? "│  " : "|  "; }

  void MarkLast() {
    last_.assign(commands_.size(), true);
    std::vector<bool> seen;  // By depth: a command at that depth follows under the same parent.
    for (size_t i = commands_.size(); i-- > 0;) {
      const size_t depth = commands_[i].depth();
      seen.resize(depth + 1, false);
      last_[i] = !seen[depth];
      seen[depth] = true;
    }
  }

  void WriteCommand(const v1::Command& command, const std::string& head) {
    const std::string number = "#" + std::to_string(command.id()) + " ";
    std::string line = CommandLine(command.argv());
    if (line.empty()) line = Printable(command.executable());
    const std::string time = Duration(Elapsed(command, session_.duration_ns()));
    std::string status = StatusWord(command);
    if (status == "0" || status == "exec") {
      status.clear();
    } else if (command.has_exit_status() && !command.running()) {
      status.insert(0, "exit ");
    }
    const size_t tail = DisplayWidth(time) + (status.empty() ? 0 : DisplayWidth(status) + 2);
    const size_t fixed = DisplayWidth(head) + number.size() + tail + 2;
    std::string gap = "  ";
    if (style_.width > 0) {
      line = Truncated(line, std::max<size_t>(style_.width > fixed ? style_.width - fixed : 0, 16), style_.utf8);
      const size_t used = fixed + DisplayWidth(line);
      if (used < style_.width) gap.append(style_.width - used, ' ');
    }
    if (!status.empty()) status += "  ";
    out_->Write(style_.Paint(head, Color::kDim) + style_.Paint(number, Color::kDim) + style_.Paint(line, Color::kBold) +
                gap + style_.Paint(status, StatusColor(command)) + style_.Paint(time, Color::kDim) + "\n");
  }

  void WriteFiles(const v1::Command& command, const std::string& stem) {
    if (!command.opaque_reason().empty()) {
      out_->Write(style_.Paint(stem, Color::kDim) + "  " +
                  style_.Paint("not observed in full: " + Printable(command.opaque_reason()), Color::kYellow) + "\n");
    }
    WriteList(stem, "reads", command.reads(), Color::kNone);
    WriteList(stem, "writes", command.writes(), Color::kGreen);
    WriteList(stem, "removes", command.removed(), Color::kRed);
    WriteList(stem, "lists", command.listed(), Color::kNone);
    if (style_.brief) {
      WriteMinor(stem, command);
    } else {
      WriteList(stem, "missing", command.missing(), Color::kNone);
      WriteList(stem, "checks", command.checked(), Color::kNone);
    }
  }

  // A pipe gets a line for each file, so that grep finds it with its kind.
  void WriteList(const std::string& stem, std::string_view label, const PathList& paths, Color color) {
    if (paths.empty()) return;
    std::string margin = "  " + std::string(label);
    margin.resize(11, ' ');
    const std::string painted_stem = style_.Paint(stem, Color::kDim);
    if (!style_.brief) {
      for (const std::string& path : paths) out_->Write(painted_stem + margin + Printable(path) + "\n");
      return;
    }
    const size_t taken = DisplayWidth(stem) + margin.size();
    const size_t room = style_.width > taken + 20 ? style_.width - taken : 20;
    for (const std::string& line : BriefPaths(paths, session_.cwd(), room, style_.utf8)) {
      out_->Write(painted_stem + style_.Paint(margin, Color::kDim) + style_.Paint(line, color) + "\n");
      margin.assign(margin.size(), ' ');
    }
  }

  // What a person seldom asks for: numbers.
  void WriteMinor(const std::string& stem, const v1::Command& command) {
    std::string text;
    if (!command.missing().empty()) text += Count(static_cast<uint64_t>(command.missing_size())) + " missing";
    if (!command.missing().empty() && !command.checked().empty()) text += ", ";
    if (!command.checked().empty()) text += Count(static_cast<uint64_t>(command.checked_size())) + " checked";
    if (!text.empty()) out_->Write(style_.Paint(stem + "  also     " + text, Color::kDim) + "\n");
  }

  const Style style_;
  Output* const out_;
  v1::Session session_;
  std::vector<v1::Command> commands_;
  std::vector<bool> last_;
  uint64_t left_out_ = 0;
};

}  // namespace

std::unique_ptr<Renderer> NewTreeView(const Style& style, Output* out) {
  return std::make_unique<TreeView>(style, out);
}

}  // namespace ocpwatch
