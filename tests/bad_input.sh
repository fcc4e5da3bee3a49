#!/bin/sh
# What toewatch is given may be missing, empty, broken or nonsense: it says so
# in one clear sentence that names it, and its exit status tells which it was.
set -u
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 99

# The pieces of a capture, little-endian (draft-ietf-opsawg-pcap): the header
# for a link type, and one record with a SYN, 10.0.0.1:1025 to 10.0.0.2:445.
pcap_header() {
	printf '\324\303\262\241\2\0\4\0\0\0\0\0\0\0\0\0\0\0\4\0'
	printf '%b\0\0\0' "$1"
}

pcap_record() {
	printf '\1\0\0\0\0\0\0\0\66\0\0\0\66\0\0\0'
	printf '\2\0\0\0\0\2\2\0\0\0\0\1\10\0'
	printf '\105\0\0\50\0\1\0\0\100\6\146\315\12\0\0\1\12\0\0\2'
	printf '\4\1\1\275\0\0\0\1\0\0\0\0\120\2\40\0\166\41\0\0'
}

{ pcap_header '\01'; pcap_record; pcap_record; } >sound.pcap
# 24 bytes of header, 70 of record; the second record ends at 164, not at 130.
head -c 130 sound.pcap >cut.pcap
head -c 30 sound.pcap >cut-early.pcap
{ pcap_header '\0223'; pcap_record; } >link-147.pcap
: >empty.pcap
echo 'This is a letter, not a capture, and longer than a header.' >letter.pcap
mkdir letters
cp letter.pcap letters/letter.txt

# $1: the case; $2: exit status; $3: what the sentence on standard error has to
# name (grep -E), or "" for no sentence at all; the rest: the command, whose
# standard output is in `out`.
expect() {
	case=$1 want=$2 names=$3
	shift 3
	"$@" >out 2>err </dev/null
	got=$?
	{
		[ "$got" -eq "$want" ] || echo "exit status $got, not $want"
		if [ -z "$names" ]; then
			[ ! -s err ] || echo 'it should have nothing to say'
		else
			check_sentence "$names"
		fi
	} >complaint
	if [ -s complaint ]; then
		cat err >>complaint
	fi
	tap_empty "$case" complaint
}

# One line; after bad usage a second one may say where help is.
check_sentence() {
	most=1
	[ "$want" -ne 2 ] || most=2
	lines=$(wc -l <err)
	[ "$lines" -ge 1 ] || echo 'no sentence on standard error'
	[ "$lines" -le "$most" ] || echo "$lines lines on standard error"
	head -n 1 err | grep -q '^toewatch: .' ||
	    echo 'the sentence does not begin with the name of the program'
	head -n 1 err | grep -Eq -- "$1" || echo "the sentence does not name: $1"
}

to_full() {
	"$@" >/dev/full
}

to_nowhere() {
	"$@" >&-
}

t=$TOEWATCH
expect 'a sound capture' 0 '' "$t" -r sound.pcap
expect 'a file that is not there' 1 'missing\.pcap.*No such file' \
    "$t" -r missing.pcap
expect 'a missing file beside a sound one' 1 'missing\.pcap' \
    "$t" -r sound.pcap -r missing.pcap
expect 'an empty file' 1 'empty\.pcap' "$t" -r empty.pcap
expect 'a file that is no capture' 1 'letter\.pcap' "$t" -r letter.pcap
expect 'a folder without captures' 1 'letters' "$t" -r letters
expect 'standard input without a byte' 1 'standard input|-' "$t" -r -
if [ "$(id -u)" -ne 0 ]; then
	cp sound.pcap locked.pcap
	chmod 0 locked.pcap
	expect 'a file without permission' 1 'locked\.pcap.*[Pp]ermission' \
	    "$t" -r locked.pcap
elif [ -e /proc/self/mem ]; then
	# Root may open everything; this it cannot read.
	expect 'a file that cannot be read' 1 '/proc/self/mem' \
	    "$t" -r /proc/self/mem
fi

expect 'a capture cut in mid-record' 0 'cut\.pcap.*(94|110|130)' \
    "$t" -r cut.pcap
grep -q . out || echo 'no report' >>complaint
tap_empty 'the report of what came before the cut' complaint
expect 'a capture cut before its first frame' 0 'cut-early\.pcap.*(24|30)' \
    "$t" -r cut-early.pcap
expect 'a link type that toewatch does not read' 0 'link-147\.pcap.*147|USER0' \
    "$t" -r link-147.pcap

expect 'a filter with an error' 1 'tcp prot 80' \
    "$t" -r sound.pcap -f 'tcp prot 80'
expect 'an interface that is not there' 1 'no-such-if0' \
    "$t" -i no-such-if0 -w none
expect 'a configuration that is not there' 1 'missing\.conf' \
    "$t" -r sound.pcap -c missing.conf
expect 'a folder for the run that cannot be made' 1 'sound\.pcap/run' \
    "$t" -r sound.pcap -o sound.pcap/run

if [ -c /dev/full ]; then
	for format in text json html; do
		expect "a full disk under -T $format" 1 'standard output' \
		    to_full "$t" -r sound.pcap -T $format
	done
	expect 'a full disk under --packets' 1 'packets|full' \
	    "$t" -r sound.pcap --packets /dev/full
fi
expect 'a closed standard output' 1 'standard output' \
    to_nowhere "$t" -r sound.pcap

expect 'no source at all' 2 '.' "$t"
expect 'an unknown flag' 2 'no-such-flag' "$t" --no-such-flag
expect 'an unknown letter' 2 'Z' "$t" -Z
expect 'a flag without its argument' 2 'r' "$t" -r
expect 'an unknown report format' 2 'yaml' "$t" -r sound.pcap -T yaml
expect 'a number of workers that is none' 2 'many' "$t" -r sound.pcap -j many
expect 'no workers' 2 '0' "$t" -r sound.pcap -j 0
expect 'a word that belongs to no flag' 2 'word' "$t" -r sound.pcap word
expect 'an unknown finding' 2 'no_such_finding' "$t" --explain no_such_finding
tap_end
