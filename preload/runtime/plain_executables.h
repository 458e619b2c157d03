// The programs that this thread has executed lately, so that make does not read the same compiler's headers each time.
//
// A look at an executable is an open, three reads and what belongs to them: 6.8 µs, where a stat is 1.4. Only plain
// ones are remembered, in which nothing stands in our way; whatever is special is looked at each time. A file is known
// by its inode and the time of its last change; one that has changed within the last second is not remembered, for it
// may do so again without its time showing it. Rights count too: a vfork child may have given up its own.
#ifndef OCPWATCH_PRELOAD_RUNTIME_PLAIN_EXECUTABLES_H_
#define OCPWATCH_PRELOAD_RUNTIME_PLAIN_EXECUTABLES_H_

#include <sys/stat.h>

namespace ocpwatch {

// Whether the file that execveat(dirfd, path, ..., flags) would execute is one of them.
bool IsKnownToBePlain(int dirfd, const char* path, int flags);

// `file` is a plain executable.
void RememberAsPlain(const struct stat& file);

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_PLAIN_EXECUTABLES_H_
