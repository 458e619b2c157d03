#include <stdio.h>

#include "greeting.h"
#include "version.h"

int main(void) {
  printf("%s (%s)\n", Greeting(), VERSION);
  return 0;
}
