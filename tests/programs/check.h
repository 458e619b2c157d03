// For the traced programs: a call that has to succeed.
#ifndef OCPWATCH_TESTS_PROGRAMS_CHECK_H_
#define OCPWATCH_TESTS_PROGRAMS_CHECK_H_

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                   \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, strerror(errno)); \
      exit(99);                                                                            \
    }                                                                                      \
  } while (0)

#endif  // OCPWATCH_TESTS_PROGRAMS_CHECK_H_
