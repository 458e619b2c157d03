// Models built by hand, and the rows that a report makes of them.
#ifndef OCPWATCH_TESTS_UNIT_REPORT_FIXTURE_H_
#define OCPWATCH_TESTS_UNIT_REPORT_FIXTURE_H_

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/report/report.h"

namespace ocpwatch {

// Keeps what it is given; goes away after `most` rows.
class KeepingSink final : public RowSink {
 public:
  explicit KeepingSink(size_t most = std::numeric_limits<size_t>::max()) : most_(most) {}
  bool Write(const v1::ReportRow& row) override {
    if (rows.size() == most_) return false;
    rows.push_back(row);
    return true;
  }
  std::vector<v1::ReportRow> rows;

 private:
  const size_t most_;
};

// A session that began at 1000 ns. Every use is 1 ns after the one before, and so is every command.
class Recording {
 public:
  Recording();

  // Returns its id. It has ended with status 0, unless `command(id)` is changed.
  CommandId Add(CommandId parent, const std::vector<std::string>& argv, const std::string& cwd = "/src");
  void Use(CommandId command, std::string_view path, uint32_t kinds, int32_t error = 0);
  Command& command(CommandId id) { return *trace.Find(id); }

  // All rows but the session's own, which has to be the first where there is one. Fails the test if the report does.
  std::vector<v1::ReportRow> Report(v1::View view, const v1::Selection& selection = {});
  // The text of an export.
  std::string Export(v1::View view, const v1::Selection& selection = {});
  absl::Status Write(v1::View view, const v1::Selection& selection, RowSink* sink);

  Trace trace;
  v1::SessionHeader header;
  v1::Session session;
  std::string log;

 private:
  uint64_t now_ns_ = 1000;
};

// For CHECK: {"a", "b"}.
std::vector<std::string> List(const google::protobuf::RepeatedPtrField<std::string>& list);
std::vector<uint32_t> List(const google::protobuf::RepeatedField<uint32_t>& list);

using Strings = std::vector<std::string>;
using Ids = std::vector<uint32_t>;

}  // namespace ocpwatch

#endif  // OCPWATCH_TESTS_UNIT_REPORT_FIXTURE_H_
