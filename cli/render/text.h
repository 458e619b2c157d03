// Words and numbers for people.
//
// Paths and arguments arrive as UTF-8 in which bytes that are none are \xHH and a backslash is \\ (monitor.proto). They
// may still hold newlines, escape sequences and marks that turn the writing direction: a file's name must never be able
// to change what a terminal shows, so everything of that kind is escaped here, once, on its way out.
#ifndef OCPWATCH_CLI_RENDER_TEXT_H_
#define OCPWATCH_CLI_RENDER_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "google/protobuf/repeated_ptr_field.h"

namespace ocpwatch {

// `text` with control characters as \n, \t, \r, \e or \xHH, and direction marks as the \xHH of their bytes.
std::string Printable(std::string_view text);

// Columns that a terminal uses for printable UTF-8.
size_t DisplayWidth(std::string_view text);

// `text`, or as much of it as fits `width` columns with an ellipsis at the end. Width 0: no bound.
std::string Truncated(std::string_view text, size_t width, bool utf8);
// The same with the ellipsis in front: of a path the end says more.
std::string TruncatedFront(std::string_view text, size_t width, bool utf8);

// "0.4 ms", "12 ms", "4.31 s", "2 min 05 s", "1 h 02 min". Negative counts as 0.
std::string Duration(int64_t ns);

// "0 B", "1.5 kB", "20 MB": powers of 1000.
std::string Size(uint64_t bytes);

// "1,234,567"
std::string Count(uint64_t number);

// "1 command", "1,234 commands"
std::string Counted(uint64_t number, std::string_view singular, std::string_view plural);

// A command line that a shell would read back as these words. Printable.
std::string CommandLine(const google::protobuf::RepeatedPtrField<std::string>& argv);

// `path` from `directory` on where it lies below, else as it is. Printable.
std::string ShortPath(std::string_view path, std::string_view directory);

}  // namespace ocpwatch

#endif  // OCPWATCH_CLI_RENDER_TEXT_H_
