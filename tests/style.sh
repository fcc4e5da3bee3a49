#!/bin/sh
# The house style, as far as a machine can see it (CONTRIBUTING.md has the
# rules and their reasons). Each rule is tried on a small house with a planted
# break first, so that one that no longer bites is noticed.
#
# A rule is a function that looks at the house in the current folder and prints
# each break as "FILE:LINE: what".
set -u
. "$(dirname "$0")/tap.sh"

LONGEST_FUNCTION=100		# lines; aim for 20, parsers 60
WIDEST_LINE=96			# columns, with tabs of 8; aim for 80, or 88

c_files() {
	find main*.[ch] capture detectors web tests -name '*.[ch]' 2>/dev/null | sort
}

sh_files() {
	ls bootstrap .ci/run 2>/dev/null
	find tests pcaps -name '*.sh' 2>/dev/null | sort
}

# What ships; what the build makes in the folder is not ours to judge.
shipped_files() {
	git ls-files -co --exclude-standard 2>/dev/null && return
	find . -type f ! -path './.git/*' ! -path './build*' ! -path './_*' \
	    ! -path '*/.deps/*' ! -path './autom4te.cache/*' ! -name '*.log' ! -name '*.trs' \
	    ! -name Makefile ! -name 'config*' ! -name aclocal.m4 |
	    sed 's,^\./,,'
}

# The files on standard input as "FILE:LINE:TEXT", without comments and what
# stands in quotes.
code_of() {
	xargs awk '
	FNR == 1 { inside = 0 }
	{
		line = $0
		gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
		if (inside) {
			if (!sub(/^.*\*\//, "", line))
				next
			inside = 0
		}
		gsub(/\/\*([^*]|\*[^\/])*\*\//, "", line)
		if (sub(/\/\*.*/, "", line))
			inside = 1
		print FILENAME ":" FNR ":" line
	}' /dev/null
}

# Each function as "FILE LINE LINES NAME first|inner", from its name to its
# closing brace; "first" when its name begins the line.
functions() {
	c_files | xargs ctags -f - --languages=C --langmap=C:+.h --kinds-C=f \
	    --fields=+ne 2>/dev/null | awk -F '\t' '{
		line = $0; sub(/.*\tline:/, "", line)
		end = $0; sub(/.*\tend:/, "", end)
		print $2, line + 0, end - line + 1, $1,
		    index($3, "/^" $1 "(") == 1 ? "first" : "inner"
	    }'
}

rule_functions_fit() {
	functions | awk -v most=$LONGEST_FUNCTION '
	    $3 > most { print $1 ":" $2 ": " $4 "() has " $3 " lines" }'
}

rule_return_type_has_its_own_line() {
	functions | awk '$5 == "inner" {
	    print $1 ":" $2 ": " $4 "() does not begin its line" }'
}

# A queue's patience and a connection's are no trace time.
rule_time_comes_from_the_trace() {
	c_files | grep -Ev '^(tests/|capture/(source[a-z_]*|log|notify)\.c|detectors/(relay|store|sink_[a-z]*)\.c|web/[a-z_]*\.c)' |
	    code_of | grep -E '[^A-Za-z0-9_.>](time|gettimeofday|clock_gettime|timespec_get|localtime|localtime_r)[[:space:]]*\(' |
	    sed 's/:[[:space:]]*/: asks the wall clock: /2'
}

# But the key of the flow table's hash, which keeps a peer from choosing its
# collisions: no output shows it.
rule_nothing_is_random() {
	c_files | grep -E '^(capture|detectors)/|^main' | code_of |
	    grep -Ev '^capture/hash\.c:.*[^A-Za-z0-9_]getrandom\(' |
	    grep -E '[^A-Za-z0-9_.>](s?rand|s?random|rand_r|[dls]rand48|arc4random[a-z_]*|getrandom|getentropy)[[:space:]]*\(' |
	    sed 's/:[[:space:]]*/: output depends on the packets alone: /2'
}

rule_structs_have_no_typedef() {
	c_files | code_of | grep -E ':typedef[[:space:]]+(struct|union|enum)' |
	    sed 's/:[[:space:]]*/: /2'
}

rule_own_header_comes_first() {
	find capture detectors web -name '*.c' | sort | while read -r file; do
		own=${file%.c}
		[ ! -f "$own.h" ] ||
		    grep -E '^#include' "$file" | head -n 1 |
		    grep -Eq "\"$own(_internal)?\.h\"" ||
		    echo "$file:1: its first #include is not \"$own.h\""
	done
}

rule_lines_are_clean() {
	{
		c_files
		sh_files
		ls configure.ac Makefile.am ./*/Makefile.inc 2>/dev/null
	} | sort -u | xargs awk -v most=$WIDEST_LINE '
	function say(what) { print FILENAME ":" FNR ": " what }
	/\r/ { say("carriage return") }
	/[ \t]$/ { say("blanks at the end") }
	/ \t/ && FILENAME ~ /\.[ch]$/ { say("a space before a tab") }
	/^        / && FILENAME ~ /\.[ch]$/ { say("indented by spaces") }
	FILENAME ~ /\.[ch]$/ {
		width = 0
		for (i = 1; i <= length($0); i++) {
			c = substr($0, i, 1)
			if (c == "\t")
				width += 8 - width % 8
			else if (c !~ /[\200-\277]/)	# rest of a UTF-8 letter
				width++
		}
		if (width > most)
			say(width " columns")
	}' /dev/null
}

# A file that no Makefile.inc lists is neither built nor shipped.
rule_files_are_listed() {
	for room in capture detectors web tests; do
		find $room -maxdepth 1 -name '*.[ch]' -o -maxdepth 1 -name '*.sh' |
		    sort | while read -r file; do
			# A program of tests/ may be listed without its .c.
			grep -Eq "(^|[[:space:]])${file%.c}(\.c)?([[:space:]]|\$)" \
			    $room/Makefile.inc ||
			    echo "$file: $room/Makefile.inc does not list it"
		done
	done
	for file in main*.[ch]; do
		[ ! -e "$file" ] || grep -Eq "[[:space:]]$file( |\$)" Makefile.am ||
		    echo "$file: Makefile.am does not list it"
	done
}

rule_detectors_are_in_the_table() {
	grep -HoE '^const struct detector detector_[a-z0-9_]+' detectors/*.c \
	    2>/dev/null | sed 's/:.* detector_/ /' |
	    while read -r file name; do
		grep -Eq "X\(${name}[,)]" detectors/registry.c ||
		    echo "$file: detectors/registry.c has no line X($name)"
	done
}

# The project speaks of itself alone. A test may look for captures beside the
# tree if it asks first whether they are there.
rule_speaks_of_itself() {
	shipped_files | sort |
	    xargs grep -InHiE 'cl[a]ude|anth[r]opic|sub[-]?ag[e]nt|/w[o]rk/|\.\./sh[a]red|/tmp/t[o]e' /dev/null |
	    while IFS= read -r hit; do
		file=${hit%%:*}
		case $file:$hit in
		tests/*:*../sh[a]red*)
			grep -Eq -e '(-[def]|exists\(|isdir\(|access\().*shar[e]d' \
			    "$file" || echo "$hit" ;;
		*) echo "$hit" ;;
		esac
	done
}

rule_scripts_are_sound() {
	# shellcheck disable=SC2046 # names without blanks
	shellcheck -S warning -x -P SCRIPTDIR -f gcc $(sh_files)
}

# $1: a rule, $2: a file of an empty house, $3: its text, which breaks the rule.
planted() {
	rm -rf "$scratch/house"
	mkdir -p "$scratch/house/capture" "$scratch/house/detectors" \
	    "$scratch/house/web" "$scratch/house/tests"
	cd "$scratch/house" || exit 99
	touch detectors/registry.c
	for room in capture detectors web tests; do
		: >$room/Makefile.inc
	done
	: >capture/clean.c
	rule_"$1" >"$scratch/before" 2>&1
	printf '%b' "$3" >"$2"
	rule_"$1" >"$scratch/after" 2>&1
	if ! grep "$2" "$scratch/before" && grep -q "$2" "$scratch/after"; then
		tap_pass "found where planted: $1"
	else
		tap_fail "planted for $1 and not named" "$scratch/after"
	fi
	cd "$srcdir" || exit 99
}

# $1: a rule.
check() {
	rule_"$1" >"$scratch/found" 2>&1
	tap_empty "$(echo "$1" | tr _ ' ')" "$scratch/found"
}

if ctags --version 2>/dev/null | grep -q Universal; then
	long=$(awk 'BEGIN { for (i = 0; i < 100; i++) printf "\\tx++;\\n" }')
	planted functions_fit capture/x.c "void\nf(void)\n{\n$long}\n"
	planted return_type_has_its_own_line capture/x.c 'int f(void)\n{\n}\n'
else
	tap_skip 'function lengths' 'universal-ctags is missing'
fi
planted time_comes_from_the_trace capture/x.c '\tt = time(NULL);\n'
planted time_comes_from_the_trace main.c '\tclock_gettime(CLOCK_REALTIME, &t);\n'
planted nothing_is_random detectors/x.c '\tseed = rand();\n'
planted nothing_is_random capture/flow.c '\tseed = random();\n'
planted structs_have_no_typedef capture/x.h 'typedef struct x x_t;\n'
planted lines_are_clean capture/x.c '\tx++; \n'
planted lines_are_clean capture/x.c '        x++;\n'
planted lines_are_clean capture/x.c "$(printf '%097d' 0)\n"
planted files_are_listed capture/x.c '\n'
planted files_are_listed tests/unit_x.c '\n'
planted detectors_are_in_the_table detectors/x.c \
    'const struct detector detector_x = {\n'
planted speaks_of_itself capture/x.c '/* see /wor''k/x */\n'
planted speaks_of_itself tests/x.sh 'cat ../share''d/x\n'

cd "$srcdir" || exit 99
if ctags --version 2>/dev/null | grep -q Universal; then
	check functions_fit
	check return_type_has_its_own_line
	functions | sort -n -k 3 | awk '{ n[NR] = $3 } END { if (NR) print \
	    "# " NR " functions: median " n[int((NR + 1) / 2)] \
	    ", 95th percentile " n[int((NR * 95 + 99) / 100)] \
	    ", longest " n[NR] " lines" }'
fi
check time_comes_from_the_trace
check nothing_is_random
check structs_have_no_typedef
check own_header_comes_first
check lines_are_clean
check files_are_listed
check detectors_are_in_the_table
check speaks_of_itself
if command -v shellcheck >/dev/null 2>&1; then
	check scripts_are_sound
else
	tap_skip 'scripts are sound' 'shellcheck is missing'
fi
tap_end
