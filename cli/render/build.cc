#include "cli/render/build.h"

#include <algorithm>
#include <string>
#include <vector>

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

namespace {

void AppendOutcome(std::string outcome, Color color, std::string command, const std::string& reason, const Style& style,
                   std::string* out) {
  outcome.resize(std::max(outcome.size(), kOutcomeWidth), ' ');
  // The reason is what was asked for: the command is what gives way.
  const size_t taken = outcome.size() + 4 + DisplayWidth(reason);
  if (style.width > 0) command = Truncated(command, style.width > taken + 20 ? style.width - taken : 20, style.utf8);
  absl::StrAppend(out, style.Paint(outcome, color), "  ", command);
  if (!reason.empty()) absl::StrAppend(out, ": ", reason);
  out->push_back('\n');
}

}  // namespace

void AppendExplanation(const v1::ExplainRow& row, const Style& style, std::string* out) {
  std::string reason = Printable(row.reason());
  if (!row.kept().empty()) absl::StrAppend(&reason, reason.empty() ? "" : "; ", "not kept: ", Printable(row.kept()));
  AppendOutcome(Printable(row.outcome()), OutcomeColor(row), CommandLine(row.command().argv()), reason, style, out);
}

void AppendPlanned(const v1::PlanRow& row, const Style& style, std::string* out) {
  const bool reused = row.outcome() == "reused";
  AppendOutcome(Printable(row.outcome()), reused ? Color::kGreen : Color::kNone, CommandLine(row.argv()),
                reused ? "nothing would run" : Printable(row.reason()), style, out);
}

void AppendIgnored(const std::set<std::string>& paths, const Style& style, std::string* out) {
  constexpr size_t kBriefPaths = 8;
  absl::StrAppend(out, "does not count: ");
  size_t shown = 0;
  for (const std::string& path : paths) {
    if (style.brief && shown == kBriefPaths) break;
    absl::StrAppend(out, shown++ == 0 ? "" : ", ", Printable(path));
  }
  if (shown < paths.size()) absl::StrAppend(out, " and ", Count(paths.size() - shown), " more");
  out->push_back('\n');
}

void AppendMakers(const v1::WhyReply& reply, const std::string& directory, const Style& style, std::string* out) {
  constexpr size_t kBriefInputs = 12;
  for (const v1::WhyReply::Maker& maker : reply.makers()) {
    if (!out->empty()) out->push_back('\n');
    absl::StrAppend(out, style.Paint("made by", Color::kBold), "  ", CommandLine(maker.argv()), "\n");
    absl::StrAppend(out, "in       ", Printable(maker.cwd()), "\n");
    absl::StrAppend(out, "ran      ", maker.ran(), " in session ", Printable(maker.session()), ", took ",
                    Duration(maker.duration_ns()), "\n");
    if (!maker.reused().empty()) absl::StrAppend(out, "reused   ", maker.reused(), "\n");
    absl::StrAppend(out, "now      ",
                    maker.current() ? "the file is as this command made it"
                                    : style.Paint("the file is another than this command made", Color::kYellow),
                    "\n");
    // What lies below the directory of the one who asks comes first.
    std::vector<std::string> inputs;
    for (const std::string& input : maker.inputs()) inputs.push_back(ShortPath(input, directory));
    std::stable_partition(inputs.begin(), inputs.end(), [](const std::string& path) { return path.front() != '/'; });
    const auto shown = style.brief ? std::min<size_t>(kBriefInputs, inputs.size()) : inputs.size();
    for (size_t i = 0; i < shown; ++i) {
      absl::StrAppend(out, "from     ", Printable(inputs[i]), "\n");
    }
    if (const size_t more = inputs.size() - shown; more > 0) {
      absl::StrAppend(out, "         and ", Count(more), " more\n");
    }
  }
}

void AppendAffected(const v1::AffectedRow& row, const std::string& directory, const Style& style, std::string* out) {
  std::string text = CommandLine(row.argv());
  const size_t indent = 2 * std::min<size_t>(row.depth(), 10);
  if (style.width > 0) text = Truncated(text, style.width > indent + 20 ? style.width - indent : 20, style.utf8);
  absl::StrAppend(out, std::string(indent, ' '), text, "\n");
  for (const std::string& output : row.outputs()) {
    absl::StrAppend(out, std::string(indent, ' '), "  makes ", Printable(ShortPath(output, directory)), "\n");
  }
}

void AppendStats(const v1::StatsReply& reply, std::string* out) {
  absl::StrAppend(out, "store     ", Printable(reply.directory()), "\n");
  absl::StrAppend(out, "holds     ", Counted(reply.actions(), "action", "actions"), " and ",
                  Counted(reply.blobs(), "content", "contents"), ", ", Size(reply.blob_bytes() + reply.record_bytes()));
  if (reply.limit_bytes() > 0) absl::StrAppend(out, " of at most ", Size(reply.limit_bytes()));
  absl::StrAppend(out, "\nbuilds    ", Count(reply.builds()), ", of which ", Count(reply.whole_hits()),
                  " had nothing to run\n");
  absl::StrAppend(out, "commands  ", Count(reply.hits()), " reused, ", Count(reply.misses()), " ran, ",
                  Count(reply.stored()), " kept\n");
  absl::StrAppend(out, "saved     about ", Duration(reply.saved_ns()), "\n");
  absl::StrAppend(out, "digests   ", Count(reply.digests()), " known; ", Count(reply.digest_hits()), " found, ",
                  Count(reply.digest_misses()), " made\n");
}

namespace {

void AppendGarbage(const v1::CollectGarbageReply& reply, const char* verb, std::string* out) {
  absl::StrAppend(out, verb, Counted(reply.removed_actions(), "action", "actions"), " and ",
                  Counted(reply.removed_blobs(), "content", "contents"), ", ", Size(reply.freed_bytes()), "; ",
                  Size(reply.kept_bytes()), " kept\n");
}

}  // namespace

void AppendCollected(const v1::CollectGarbageReply& reply, std::string* out) { AppendGarbage(reply, "removed ", out); }
void AppendWouldCollect(const v1::CollectGarbageReply& reply, std::string* out) {
  AppendGarbage(reply, "would remove ", out);
}

void AppendVerified(const v1::VerifyReply& reply, std::string* out) {
  absl::StrAppend(out, "checked ", Counted(reply.blobs(), "content", "contents"), ", ", Size(reply.bytes()), ": ");
  if (reply.damaged() == 0 && reply.missing() == 0) {
    absl::StrAppend(out, "all sound\n");
  } else {
    absl::StrAppend(out, Count(reply.damaged()), " damaged and put aside, ", Count(reply.missing()), " missing; ",
                    Counted(reply.removed_actions(), "action", "actions"), " forgotten\n");
  }
  for (const std::string& note : reply.notes()) absl::StrAppend(out, Printable(note), "\n");
}

void AppendCleared(const v1::ClearReply& reply, std::string* out) {
  absl::StrAppend(out, "forgot ", Counted(reply.removed_actions(), "action", "actions"), ", ",
                  Size(reply.freed_bytes()), " freed\n");
}

}  // namespace ocpwatch
