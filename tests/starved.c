/* starved.c - starve.c, linked into the whole program. */
#define STARVE_LINKED
#include "tests/starve.c"
