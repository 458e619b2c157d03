// A user's own preload library: getuid() is 4242 with it.
#include <unistd.h>

uid_t getuid(void) { return 4242; }
