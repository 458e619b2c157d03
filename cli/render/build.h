// What is said of a build: its one line, and why each command ran.
#ifndef OCPWATCH_CLI_RENDER_BUILD_H_
#define OCPWATCH_CLI_RENDER_BUILD_H_

#include <cstdint>
#include <set>
#include <string>

#include "cli/render/style.h"
#include "ocpwatch/v1/monitor.pb.h"

namespace ocpwatch {

// "3 commands ran, 41 reused, 1 not reusable; 2.1 s, about 9.8 s saved".
std::string BuildWords(const v1::BuildTotals& totals, int64_t duration_ns);

// Who made a file, in the reply's order; paths are shortened by `directory`.
void AppendMakers(const v1::WhyReply& reply, const std::string& directory, const Style& style, std::string* out);

// A command that would run, indented by its depth.
void AppendAffected(const v1::AffectedRow& row, const std::string& directory, const Style& style, std::string* out);

// The store: what it holds, and what was done to it.
void AppendStats(const v1::StatsReply& reply, std::string* out);
void AppendCollected(const v1::CollectGarbageReply& reply, std::string* out);
void AppendWouldCollect(const v1::CollectGarbageReply& reply, std::string* out);
void AppendVerified(const v1::VerifyReply& reply, std::string* out);
void AppendCleared(const v1::ClearReply& reply, std::string* out);

// What does not count, of all rows.
void AppendIgnored(const std::set<std::string>& paths, const Style& style, std::string* out);
// A line for a command: "ran           gcc -c a.c: src/a.c was edited".
void AppendPlanned(const v1::PlanRow& row, const Style& style, std::string* out);
void AppendExplanation(const v1::ExplainRow& row, const Style& style, std::string* out);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_RENDER_BUILD_H_
