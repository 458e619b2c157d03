// scanf and its like with "...": each is given to the generated wrapper of its sister with a va_list.
#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>

#include "preload/runtime/export.h"

// The sisters, by names that no header redirects: each scanf exists twice, as GNU's and as ISO C's.
#define OCPWATCH_SISTER(name, ...) extern "C" int Sister_##name(__VA_ARGS__, va_list list) __asm__(#name)
OCPWATCH_SISTER(vscanf, const char* format);
OCPWATCH_SISTER(__isoc99_vscanf, const char* format);
OCPWATCH_SISTER(vwscanf, const wchar_t* format);
OCPWATCH_SISTER(__isoc99_vwscanf, const wchar_t* format);
OCPWATCH_SISTER(vfscanf, FILE* stream, const char* format);
OCPWATCH_SISTER(__isoc99_vfscanf, FILE* stream, const char* format);
OCPWATCH_SISTER(vfwscanf, FILE* stream, const wchar_t* format);
OCPWATCH_SISTER(__isoc99_vfwscanf, FILE* stream, const wchar_t* format);

#define OCPWATCH_SCAN(name, sister, type)                 \
  OCPWATCH_EXPORT(int, name, (const type* format, ...)) { \
    va_list list;                                         \
    va_start(list, format);                               \
    const int result = Sister_##sister(format, list);     \
    va_end(list);                                         \
    return result;                                        \
  }

#define OCPWATCH_SCAN_STREAM(name, sister, type)                         \
  OCPWATCH_EXPORT(int, name, (FILE * stream, const type* format, ...)) { \
    va_list list;                                                        \
    va_start(list, format);                                              \
    const int result = Sister_##sister(stream, format, list);            \
    va_end(list);                                                        \
    return result;                                                       \
  }

OCPWATCH_SCAN(scanf, vscanf, char)
OCPWATCH_SCAN(__isoc99_scanf, __isoc99_vscanf, char)
OCPWATCH_SCAN(wscanf, vwscanf, wchar_t)
OCPWATCH_SCAN(__isoc99_wscanf, __isoc99_vwscanf, wchar_t)
OCPWATCH_SCAN_STREAM(fscanf, vfscanf, char)
OCPWATCH_SCAN_STREAM(__isoc99_fscanf, __isoc99_vfscanf, char)
OCPWATCH_SCAN_STREAM(fwscanf, vfwscanf, wchar_t)
OCPWATCH_SCAN_STREAM(__isoc99_fwscanf, __isoc99_vfwscanf, wchar_t)
