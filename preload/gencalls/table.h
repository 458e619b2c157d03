// Reads and checks the call table, preload/functions.textproto.
//
// The table is written by hand and turned into code that runs inside every traced process, so whatever could become
// wrong code is refused here, with the function's name and what is the matter; the compiler only sees tables that hold
// together.
#ifndef OCPWATCH_PRELOAD_GENCALLS_TABLE_H_
#define OCPWATCH_PRELOAD_GENCALLS_TABLE_H_

#include <string>
#include <vector>

#include "ocpwatch/v1/functions.pb.h"

namespace ocpwatch {

// Parses the text of a table. False: `errors` says where, as "line:column: what".
bool ParseTable(const std::string& text, v1::CallTable* table, std::vector<std::string>* errors);

// What is wrong with a table, a sentence each; empty if nothing is.
std::vector<std::string> CheckTable(const v1::CallTable& table);

// The enumerator of a function: kOpen for "open", kPosixSpawn for "posix_spawn". Two leading underscores are dropped,
// a single one is spelled out: _exit is kUnderExit, beside exit, which is kExit.
std::string EnumeratorOf(const std::string& function_name);

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_GENCALLS_TABLE_H_
