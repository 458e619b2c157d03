#include "cli/render/build.h"

#include "absl/strings/str_cat.h"
#include "cli/render/text.h"

namespace ocpwatch {
namespace {

// As wide as "not reusable".
constexpr size_t kOutcomeWidth = 12;

Color OutcomeColor(const v1::ExplainRow& row) {
  if (row.outcome() == "reused") return Color::kGreen;
  return row.outcome() == "ran" && row.kept().empty() ? Color::kNone : Color::kYellow;
}

}  // namespace

std::string BuildWords(const v1::BuildTotals& totals, int64_t duration_ns) {
  std::string text = totals.ran() == 0 ? "nothing ran" : Counted(totals.ran(), "command", "commands") + " ran";
  if (totals.reused() > 0) absl::StrAppend(&text, ", ", Count(totals.reused()), " reused");
  if (totals.not_reusable() > 0) absl::StrAppend(&text, ", ", Count(totals.not_reusable()), " not reusable");
  absl::StrAppend(&text, "; ", Duration(duration_ns));
  if (totals.saved_ns() > 0) absl::StrAppend(&text, ", about ", Duration(totals.saved_ns()), " saved");
  return text;
}

void AppendExplanation(const v1::ExplainRow& row, const Style& style, std::string* out) {
  std::string outcome = Printable(row.outcome());
  outcome.resize(std::max(outcome.size(), kOutcomeWidth), ' ');
  std::string text = CommandLine(row.command().argv());
  std::string reason = Printable(row.reason());
  if (!row.kept().empty()) absl::StrAppend(&reason, reason.empty() ? "" : "; ", "not kept: ", Printable(row.kept()));
  // The reason is what was asked for: the command is what gives way.
  const size_t taken = outcome.size() + 4 + DisplayWidth(reason);
  if (style.width > 0) text = Truncated(text, style.width > taken + 20 ? style.width - taken : 20, style.utf8);
  absl::StrAppend(out, style.Paint(outcome, OutcomeColor(row)), "  ", text);
  if (!reason.empty()) absl::StrAppend(out, ": ", reason);
  out->push_back('\n');
}

}  // namespace ocpwatch
