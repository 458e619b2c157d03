// Finds, for the names that this library intercepts, the definitions that the program would have got without it.
#ifndef OCPWATCH_PRELOAD_GENCALLS_NEXT_DEFINITION_H_
#define OCPWATCH_PRELOAD_GENCALLS_NEXT_DEFINITION_H_

#include <cstddef>

namespace ocpwatch {

// For each of the `count` names, which stand in `names` one after the other, each with its NUL: puts the definition
// that follows ours in the order of look-up into `definitions`. One that nobody defines becomes a function that fails
// with ENOSYS.
void NextDefinitions(const char* names, void** definitions, size_t count);

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_GENCALLS_NEXT_DEFINITION_H_
