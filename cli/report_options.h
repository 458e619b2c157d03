// What `report` is asked for, made of its arguments.
#ifndef OCPWATCH_CLI_REPORT_OPTIONS_H_
#define OCPWATCH_CLI_REPORT_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ocpwatch/v1/monitor.pb.h"

namespace CLI {
class App;
}  // namespace CLI

namespace ocpwatch {

struct ReportOptions {
  std::vector<std::string> words;  // [VIEW] [SESSION|FILE], in either order.
  std::string format = "text";
  bool json = false;
  std::vector<std::string> under;
  std::vector<std::string> glob;
  bool reads = false;
  bool writes = false;
  bool missing = false;
  bool failed = false;
  std::vector<uint32_t> commands;
  std::string file;
  uint64_t limit = 0;
};

// Ties the options of `report` to `options`, which must outlive `parser`.
void AddReportOptions(CLI::App& parser, ReportOptions* options);

enum class ReportFormat { kText, kJson, kJsonLines, kExport };

struct ReportPlan {
  v1::ReportRequest request;
  ReportFormat format = ReportFormat::kText;
};

// `directory`: what relative paths are relative to. The first word is a view if it is the name of one, else the second
// may be; the other word is a session or a log. A session that is called as a view is asked for behind the view:
// `report summary tree`.
absl::StatusOr<ReportPlan> PlanReport(const ReportOptions& options, const std::string& directory);

// `path` made absolute, without ".", ".." and double slashes, and not looked up: the file may be gone.
std::string AbsolutePath(const std::string& path, const std::string& directory);

// The directory that relative paths mean, as the kernel names it; empty where it has no name any more.
std::string WorkingDirectory();

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_REPORT_OPTIONS_H_
