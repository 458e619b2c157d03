// Defines an intercepted function: the body gets libc's name by an asm label and a name of its own in C++, so that it
// cannot clash with what libc's headers declare.
#ifndef OCPWATCH_PRELOAD_RUNTIME_EXPORT_H_
#define OCPWATCH_PRELOAD_RUNTIME_EXPORT_H_

#define OCPWATCH_EXPORT(result, name, parameters)                                                     \
  extern "C" __attribute__((visibility("default"))) result Exported_##name parameters __asm__(#name); \
  extern "C" result Exported_##name parameters

#endif  // OCPWATCH_PRELOAD_RUNTIME_EXPORT_H_
