#!/usr/bin/env bash
# run_tallied.sh NAME TALLY_DIR PROGRAM [ARGUMENT...]: runs a program that closes with 'N passed, N failed' and leaves
# "PASSED FAILED" in TALLY_DIR/NAME. Exit code 1 unless it closed so, with something passed and nothing failed.
set -u

name=$1 tally_dir=$2
shift 2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
mkdir -p "$tally_dir"
rm -f "$tally_dir/$name"

"$@" </dev/null 2>&1 | tee "$log"
code=${PIPESTATUS[0]}

read -r passed failed < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log" | tail -n 1)
passed=${passed:-0} failed=${failed:-0}
if ((failed == 0)) && ((code != 0 || passed == 0)); then failed=1; fi

echo "$passed $failed" >"$tally_dir/$name.new" && mv "$tally_dir/$name.new" "$tally_dir/$name"
((failed == 0))
