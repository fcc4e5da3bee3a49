/* fuzz_http.c - HTTP, and RPC over HTTP on two connections, from any bytes
 * (tests/fuzz_talk.h). */
#include "tests/fuzz_talk.h"

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
	return talk_run(at, n, 80);
}
