// What is said of a build: its one line, and why each command ran.
#ifndef OCPWATCH_CLI_RENDER_BUILD_H_
#define OCPWATCH_CLI_RENDER_BUILD_H_

#include <cstdint>
#include <string>

#include "cli/render/style.h"
#include "ocpwatch/v1/monitor.pb.h"

namespace ocpwatch {

// "3 commands ran, 41 reused, 1 not reusable; 2.1 s, about 9.8 s saved".
std::string BuildWords(const v1::BuildTotals& totals, int64_t duration_ns);

// A line for a command: "ran           gcc -c a.c: src/a.c was edited".
void AppendExplanation(const v1::ExplainRow& row, const Style& style, std::string* out);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_RENDER_BUILD_H_
