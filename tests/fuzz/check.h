// What a fuzzer asserts: ends the process, so that libFuzzer keeps the input.
#ifndef OCPWATCH_TESTS_FUZZ_CHECK_H_
#define OCPWATCH_TESTS_FUZZ_CHECK_H_

#include <cstdio>
#include <cstdlib>

#define FUZZ_CHECK(condition)                                                        \
  do {                                                                               \
    if (!(condition)) {                                                              \
      fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                                       \
    }                                                                                \
  } while (false)

#endif  // OCPWATCH_TESTS_FUZZ_CHECK_H_
