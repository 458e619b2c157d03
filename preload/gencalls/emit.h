// Writes the generated sources. Each function returns the text of one file, from a table that CheckTable found sound.
//
// For the preload, which must not see protobuf: function_ids.h, real_calls.h and .cc, wrappers.cc, exports.map and
// raw_syscalls.inc. For the daemon: call_table.cc, behind preload/gencalls/call_table.h.
#ifndef OCPWATCH_PRELOAD_GENCALLS_EMIT_H_
#define OCPWATCH_PRELOAD_GENCALLS_EMIT_H_

#include <string>
#include <vector>

#include "ocpwatch/v1/functions.pb.h"

namespace ocpwatch {

std::string EmitFunctionIds(const v1::CallTable& table);
std::string EmitRealCallsHeader(const v1::CallTable& table);
std::string EmitRealCalls(const v1::CallTable& table);
std::string EmitWrappers(const v1::CallTable& table);
std::string EmitExports(const v1::CallTable& table);
std::string EmitRawSyscalls(const v1::CallTable& table);
std::string EmitCallTable(const v1::CallTable& table);

// For the emitters themselves:

// The function's name and its aliases.
std::vector<std::string> NamesOf(const v1::Function& function);

// Whether it takes content from a descriptor: what is told once of each descriptor in a build session
// (preload/runtime/reads.h).
bool Reads(const v1::Function& function);

// "const char *path": a type with the name where C wants it. An empty name gives the type alone.
std::string Declare(const std::string& type, const std::string& name);

// "const char *path, int flags, mode_t mode", or without names; `variadic`: the last argument is told as "...".
std::string ParametersOf(const v1::Function& function, bool with_names, bool variadic);

// The include lines for the types that the table names.
std::string LibcIncludes();

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_GENCALLS_EMIT_H_
