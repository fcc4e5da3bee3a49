#!/bin/sh
# pack.sh FILE ... - each file as it is and as gzip makes it, as entries of a C
# table (web/assets.c).
set -eu

# Standard input as a C string: three octal digits cannot run into what follows.
text() {
	od -An -v -to1 | sed 's/ /\\/g; s/^/	"/; s/$/"/'
}

for file in "$@"; do
	plain=$(wc -c <"$file")
	packed=$(gzip -9 -n <"$file" | wc -c)
	if [ "$plain" -eq 0 ]; then
		echo "pack.sh: $file is empty" >&2
		exit 1
	fi
	printf '{ "%s",\n' "${file##*/}"
	text <"$file"
	echo ','
	gzip -9 -n <"$file" | text
	printf ', %d, %d },\n' "$plain" "$packed"
done
