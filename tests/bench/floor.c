/* floor.c - the least that anyone can do with a capture: read it. */
#include <pcap.h>
#include <stdio.h>

int
main(int argc, char **argv)
{
	char why[PCAP_ERRBUF_SIZE];
	unsigned long long packets = 0, bytes = 0;
	struct pcap_pkthdr *h;
	const unsigned char *data;
	pcap_t *p = argc == 2 ? pcap_open_offline(argv[1], why) : NULL;

	if (!p) {
		fprintf(stderr, "usage: floor CAPTURE\n");
		return 1;
	}
	while (pcap_next_ex(p, &h, &data) == 1) {
		packets++;
		bytes += h->len + (h->caplen ? data[0] & 1u : 0);
	}
	printf("%llu packets, %llu bytes\n", packets, bytes);
	pcap_close(p);
	return 0;
}
