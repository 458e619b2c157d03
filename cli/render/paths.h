// A command's list of files in the space of a line or two.
#ifndef OCPWATCH_CLI_RENDER_PATHS_H_
#define OCPWATCH_CLI_RENDER_PATHS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "google/protobuf/repeated_ptr_field.h"

namespace ocpwatch {

using PathList = google::protobuf::RepeatedPtrField<std::string>;

// Lines of at most `width` columns (0: unbounded). First the files that are the project's own, from `directory` on:
//   src/lapi.c  src/lapi.h  src/lua.h  … 15 more
// then those of the system, by what they are:
//   /usr/include (32)  /etc (1)  programs and libraries (4)
std::vector<std::string> BriefPaths(const PathList& paths, std::string_view directory, size_t width, bool utf8);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_RENDER_PATHS_H_
