// Bytes of traced programs (paths, arguments) as the UTF-8 that a protobuf string has to be.
//
// The escape can be undone: a byte that is not part of valid UTF-8 is \xHH (lower case), a backslash is \\, all else is
// itself. Control characters are left: JSON escapes them itself, a terminal's are the CLI's business.
#ifndef OCPWATCH_DAEMON_REPORT_ESCAPE_H_
#define OCPWATCH_DAEMON_REPORT_ESCAPE_H_

#include <optional>
#include <string>
#include <string_view>

namespace ocpwatch {

std::string EscapeBytes(std::string_view bytes);
// The same into a string that may have had a life before: the millions of paths of a large report need no memory each.
void EscapeBytes(std::string_view bytes, std::string* text);

// The bytes that EscapeBytes made `text` of. nullopt: it has a backslash that begins no escape.
std::optional<std::string> UnescapeBytes(std::string_view text);

// For the formats of others, which know no escape of ours: valid UTF-8 stays as it is, backslashes too; a byte that is
// no part of it becomes \xHH, which cannot be undone.
std::string ValidUtf8(std::string_view bytes);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_REPORT_ESCAPE_H_
