// Turns what a call was given into one absolute name for a file, without looking at the file system: the file may be
// gone by now, and the daemon may not live where the process does.
//
// The result is lexical: "//" and "." vanish and ".." takes the component before it away. Where that component is a
// symbolic link to a directory elsewhere, the kernel means another file than the name says; such calls are rare, and a
// name that follows the program's own spelling is what a reader of a report expects. Bytes are kept as they are.
#ifndef OCPWATCH_DAEMON_SESSION_PATH_H_
#define OCPWATCH_DAEMON_SESSION_PATH_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace ocpwatch {

// Longer results are refused. The kernel takes 4095 bytes in one call, but a program can walk deeper by relative calls
// (some configure scripts do); without a bound each step of such a walk would cost more memory than the one before.
inline constexpr size_t kMaxResolvedPath = 16384;

// Writes the absolute name of `path` into *result. `root`: the process's root directory, "/" or an absolute normalised
// path; `base`: what a relative path starts from, absolute and normalised. ".." does not lead out of `root`. False,
// with *result empty, where the result would be too long or there is no path.
bool ResolvePath(std::string_view root, std::string_view base, std::string_view path, std::string* result);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_PATH_H_
