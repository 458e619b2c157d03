#include "daemon/service/configuration.h"

#include <fcntl.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/text_format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace ocpwatch {
namespace {

// Keeps the first error: those behind it mostly follow from it.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (text.empty()) text = absl::StrCat(line + 1, ":", column + 1, ": ", message);
  }
  std::string text;
};

absl::Status Check(const v1::Configuration& configuration) {
  if (!configuration.state_directory().empty() && configuration.state_directory()[0] != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("state_directory has to be an absolute path, not \"", configuration.state_directory(), "\""));
  }
  return absl::OkStatus();
}

}  // namespace

std::string ConfigurationPath() {
  const char* base = getenv("XDG_CONFIG_HOME");
  // The XDG specification has relative paths ignored.
  if (base != nullptr && base[0] == '/') return absl::StrCat(base, "/ocp-watch/config.textproto");
  const char* home = getenv("HOME");
  if (home != nullptr && home[0] == '/') return absl::StrCat(home, "/.config/ocp-watch/config.textproto");
  return "";
}

absl::StatusOr<v1::Configuration> LoadConfiguration(const std::string& path) {
  v1::Configuration configuration;
  if (path.empty()) return configuration;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return configuration;
    return absl::InvalidArgumentError(absl::StrCat("cannot read ", path, ": ", strerror(errno)));
  }
  google::protobuf::io::FileInputStream stream(fd);
  stream.SetCloseOnDelete(true);
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  const bool parsed = parser.Parse(&stream, &configuration);
  // A failed read looks like the end of the text to the parser.
  if (stream.GetErrno() != 0) {
    return absl::InvalidArgumentError(absl::StrCat("cannot read ", path, ": ", strerror(stream.GetErrno())));
  }
  if (!parsed) {
    return absl::InvalidArgumentError(absl::StrCat(path, ":", error.text, "; correct or remove the file"));
  }
  if (absl::Status status = Check(configuration); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", std::string(status.message())));
  }
  return configuration;
}

}  // namespace ocpwatch
