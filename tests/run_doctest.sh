#!/usr/bin/env bash
# run_doctest.sh NAME TALLY_DIR PROGRAM...: runs a doctest program, or an emulator with one, and leaves "PASSED FAILED"
# (test cases) in TALLY_DIR/NAME. Exit code 1 unless every registered case ran and passed.
#
# The count of registered cases is taken before the run: cases that a crash, an early exit or a skip
# decorator kept from running are failures, and so is a program without cases.
set -u

name=$1 tally_dir=$2 program=("${@:3}")
log=$(mktemp)
trap 'rm -f "$log"' EXIT
mkdir -p "$tally_dir"
rm -f "$tally_dir/$name"

registered=$("${program[@]}" --count --no-skip --no-colors 2>/dev/null |
  sed -n 's/^\[doctest\] unskipped test cases passing the current filters: *\([0-9]*\)$/\1/p' | tail -n 1)
registered=${registered:-0}

"${program[@]}" --no-colors </dev/null 2>&1 | tee "$log"
code=${PIPESTATUS[0]}

passed=$(sed -n 's/^\[doctest\] test cases: *[0-9]* *| *\([0-9]*\) passed.*/\1/p' "$log" | tail -n 1)
passed=${passed:-0}

failed=$((registered - passed))
if ((failed < 0)); then failed=1; fi
if ((failed == 0)) && ((code != 0 || registered == 0)); then failed=1; fi

if ((failed > 0)); then
  echo "$name: $passed of $registered test cases passed, exit code $code"
fi
echo "$passed $failed" >"$tally_dir/$name.new" && mv "$tally_dir/$name.new" "$tally_dir/$name"
((failed == 0))
