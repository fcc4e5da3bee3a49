#!/bin/sh
# fuzz.sh NAME [SECONDS] - lets libFuzzer look for inputs that break
# tests/fuzz_NAME.c, with the sanitizers, in a build of its own under
# build/fuzz. The corpus it gathers there is kept from run to run; an input
# that broke something is left there too (build/fuzz/crash-*): once it is
# mended, it belongs in tests/seeds/NAME.
set -eu

name=$1
seconds=${2:-60}
make=${MAKE:-make}
top=$PWD
[ -f Makefile ] || { echo 'fuzz.sh: run it from the build folder' >&2; exit 1; }

# A copy of the source without any build in it, since a tree that is
# configured cannot be built elsewhere.
mkdir -p build/fuzz
$make -s distdir distdir=build/src >build/fuzz/distdir.log 2>&1 || {
	tail -n 20 build/fuzz/distdir.log >&2
	exit 1
}
cd build/fuzz
[ -f config.status ] || ../src/configure -q CC="${FUZZ_CC:-clang}" \
    CFLAGS='-g -O1' --enable-fuzzer --enable-sanitizers
$make -s "tests/fuzz_$name"

seeds=../src/tests/seeds/$name
[ -d "$seeds" ] || seeds=../src/pcaps
mkdir -p "corpus/$name"
echo "fuzzing $name for $seconds s, corpus in $top/build/fuzz/corpus/$name"
exec "tests/fuzz_$name" -max_total_time="$seconds" -print_final_stats=1 \
    -artifact_prefix="crash-$name-" "corpus/$name" "$seeds"
