// The call table as the daemon has it: what each FunctionId is, and what a session wants of it by default.
//
// Made from preload/functions.textproto when the project is built; constant, so any thread may read it.
#ifndef OCPWATCH_PRELOAD_GENCALLS_CALL_TABLE_H_
#define OCPWATCH_PRELOAD_GENCALLS_CALL_TABLE_H_

#include <cstdint>
#include <string_view>

#include "absl/types/span.h"
#include "ocpwatch/v1/functions.pb.h"

namespace ocpwatch {

struct FunctionInfo {
  const char* name;  // As in libc.
  v1::Op op;
  v1::Family family;
  v1::Behaviour record;  // The default in a record session.
  v1::Behaviour build;   // The default in a build session.
};

// By FunctionId; [0] is empty.
absl::Span<const FunctionInfo> CallTable();

// The FunctionId of a function or of one of its aliases ("open64" is that of open); 0 if the table has none.
uint16_t FindFunction(std::string_view name);

// The family of a name as `--calls` spells it: "xattr", "dir-read"; FAMILY_UNSPECIFIED if there is none.
v1::Family FindFamily(std::string_view name);

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_GENCALLS_CALL_TABLE_H_
