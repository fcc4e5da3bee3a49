/* fuzz_smb.c - SMB, and DCE/RPC in its pipes, from any bytes
 * (tests/fuzz_talk.h). */
#include "tests/fuzz_talk.h"

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
	return talk_run(at, n, 445);
}
