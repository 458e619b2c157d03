#include "daemon/service/preload_library.h"

#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ocpwatch {
namespace {

constexpr char kName[] = "libocpwatch-preload.so";

}  // namespace

absl::StatusOr<std::string> FindPreloadLibrary(const std::string& given, const std::string& executable) {
  std::vector<std::string> places;
  if (!given.empty()) {
    places.push_back(given);
  } else {
    const std::string directory = std::filesystem::path(executable).parent_path();
    places.push_back(absl::StrCat(directory, "/../preload/", kName));
    places.push_back(absl::StrCat(directory, "/" OCPWATCH_LIBDIR_FROM_BINDIR "/ocp-watch/", kName));
    places.push_back(absl::StrCat(OCPWATCH_LIBDIR "/ocp-watch/", kName));
  }
  for (const std::string& place : places) {
    std::error_code error;
    const std::string path = std::filesystem::canonical(place, error);
    if (error || !std::filesystem::is_regular_file(path, error)) continue;
    if (path.find_first_of(" :") != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the preload library is ", path, ", and LD_PRELOAD cannot name a path with a space or a colon; move it"));
    }
    return path;
  }
  return absl::NotFoundError(absl::StrCat("the preload library is not there; looked for ", absl::StrJoin(places, ", "),
                                          "; --preload PATH says where it is"));
}

}  // namespace ocpwatch
