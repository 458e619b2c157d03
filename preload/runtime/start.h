// The beginning of a traced process.
#ifndef OCPWATCH_PRELOAD_RUNTIME_START_H_
#define OCPWATCH_PRELOAD_RUNTIME_START_H_

namespace ocpwatch {

// Finds the real functions, reads OCP_WATCH, maps the ring and announces the process; nothing if that has been done.
// `argv` is null where it is not known. Without OCP_WATCH the process is left alone for good.
void Start(int argc, const char* const* argv);

}  // namespace ocpwatch

#endif  // OCPWATCH_PRELOAD_RUNTIME_START_H_
