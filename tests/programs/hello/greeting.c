#include "greeting.h"

const char* Greeting(void) { return "Hello, world"; }
