/* packet.c - addresses as numbers and as text.
 *
 * IPv4 addresses live in IPv6's mapped range, so that one struct and one order
 * serve both. Text is written by hand: it is asked for on each line of output,
 * and must not depend on the C library's idea of RFC 5952. */
#include "capture/packet.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

int
address_compare(const struct address *a, const struct address *b)
{
	int order = memcmp(a->octet, b->octet, sizeof(a->octet));

	return (order > 0) - (order < 0);
}

bool
address_is_v4(const struct address *a)
{
	return memcmp(a->octet, mapped, sizeof(mapped)) == 0;
}

uint32_t
address_v4(const struct address *a)
{
	const uint8_t *o = a->octet + sizeof(mapped);

	return (uint32_t)o[0] << 24 | (uint32_t)o[1] << 16 |
	    (uint32_t)o[2] << 8 | o[3];
}

struct address
address_from_v4(uint32_t host_order)
{
	struct address a;

	memcpy(a.octet, mapped, sizeof(mapped));
	a.octet[12] = (uint8_t)(host_order >> 24);
	a.octet[13] = (uint8_t)(host_order >> 16);
	a.octet[14] = (uint8_t)(host_order >> 8);
	a.octet[15] = (uint8_t)host_order;
	return a;
}

/* 224/4 (RFC 1112), 255.255.255.255 (RFC 919), ff00::/8 (RFC 4291). */
bool
address_is_multicast(const struct address *a)
{
	uint32_t v4;

	if (!address_is_v4(a))
		return a->octet[0] == 0xff;
	v4 = address_v4(a);
	return v4 >> 28 == 0xe || v4 == UINT32_MAX;
}

bool
address_is_unspecified(const struct address *a)
{
	static const struct address none;

	return address_is_v4(a) ? address_v4(a) == 0 :
	    address_compare(a, &none) == 0;
}

static char *
write_decimal(char *at, uint8_t n)
{
	if (n >= 100)
		*at++ = (char)('0' + n / 100);
	if (n >= 10)
		*at++ = (char)('0' + n / 10 % 10);
	*at++ = (char)('0' + n % 10);
	return at;
}

static const char hex_digit[] = "0123456789abcdef";

/* RFC 5952, 4.1 and 4.3: lower case, no leading zeros. */
static char *
write_hex(char *at, unsigned n)
{
	for (int shift = 12; shift >= 0; shift -= 4)
		if (n >> shift || shift == 0)
			*at++ = hex_digit[n >> shift & 0xf];
	return at;
}

static void
v4_text(const uint8_t octet[4], char *at)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			*at++ = '.';
		at = write_decimal(at, octet[i]);
	}
	*at = '\0';
}

/* The first of the longest runs of zero groups, of two at least (RFC 5952,
 * 4.2.2 and 4.2.3). Returns its length. */
static int
longest_zeros(const unsigned group[8], int *start)
{
	int best = 1, run = 0;

	*start = -1;
	for (int i = 0; i < 8; i++) {
		run = group[i] ? 0 : run + 1;
		if (run > best) {
			best = run;
			*start = i - run + 1;
		}
	}
	return *start < 0 ? 0 : best;
}

static void
v6_text(const uint8_t octet[16], char *at)
{
	unsigned group[8];
	int start, zeros;

	for (int i = 0; i < 8; i++)
		group[i] = (unsigned)octet[2 * i] << 8 | octet[2 * i + 1];
	zeros = longest_zeros(group, &start);
	for (int i = 0; i < 8; i++) {
		if (i == start) {
			*at++ = ':';
			i += zeros - 1;
			if (i == 7)
				*at++ = ':';
			continue;
		}
		if (i)
			*at++ = ':';
		at = write_hex(at, group[i]);
	}
	*at = '\0';
}

const char *
address_text(const struct address *a, char out[ADDRESS_TEXT_BYTES])
{
	if (address_is_v4(a))
		v4_text(a->octet + sizeof(mapped), out);
	else
		v6_text(a->octet, out);
	return out;
}

bool
address_parse(const char *text, struct address *out)
{
	struct address a;

	if (inet_pton(AF_INET, text, a.octet + sizeof(mapped)) == 1)
		memcpy(a.octet, mapped, sizeof(mapped));
	else if (inet_pton(AF_INET6, text, a.octet) != 1)
		return false;
	*out = a;
	return true;
}

const char *
mac_text(const uint8_t mac[6], char out[MAC_TEXT_BYTES])
{
	char *at = out;

	for (int i = 0; i < 6; i++) {
		*at++ = hex_digit[mac[i] >> 4];
		*at++ = hex_digit[mac[i] & 0xf];
		*at++ = i < 5 ? ':' : '\0';
	}
	return out;
}
