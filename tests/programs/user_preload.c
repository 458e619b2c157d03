// A user's own preload library: the machine is called "preloaded" with it.
#include <string.h>
#include <sys/utsname.h>

int uname(struct utsname* name) {
  memset(name, 0, sizeof *name);
  strcpy(name->nodename, "preloaded");
  return 0;
}
