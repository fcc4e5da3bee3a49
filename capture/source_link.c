/* source_link.c - the names of link types, for people and for other tools. */
#include "capture/source.h"

#include <pcap.h>

const char *
source_link_type_name(int link_type)
{
	return pcap_datalink_val_to_name(link_type);
}
