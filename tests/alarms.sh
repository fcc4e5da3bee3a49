#!/bin/sh
# A false alarm is a defect. Each sample capture against its truth
# (pcaps/truth.json): the verdict it must get, the findings it must and must not
# have. Then as mirror ports show things: every frame twice, some lost, one
# direction missing, cut to a snap length, begun in the middle (tests/mutate.py):
# nobody is blamed because of that, the true ones survive what leaves them to be
# seen, and each number of workers says the same. Here a healthy one goes through
# all of it and another one through a part; `make alarms` runs all of all.
set -u
. "$(dirname "$0")/tap.sh"

command -v python3 >/dev/null 2>&1 ||
    tap_skip_all 'python3 is missing'
TMPDIR=$scratch python3 "$srcdir/tests/mutate.py" "$TOEWATCH" --kind mirror --few \
    --workers 1,2,4 --every 4 --jobs 2 --megabytes 0 "$srcdir/pcaps"
