#!/bin/sh
# update.sh NAME ... - take what toewatch says now in these golden tests as
# right. Read the diff before you commit it, and say why in the commit.
[ $# -gt 0 ] || { echo 'usage: update.sh NAME ...' >&2; exit 2; }
exec sh "$(dirname "$0")/golden.sh" --update "$@"
