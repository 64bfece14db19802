#!/usr/bin/env bash
# run_doctest.sh must count honestly: made-up programs that pass, fail, crash, skip or lie, and the tally that
# each must leave.
set -u -o pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wrong=0

# expect NAME REGISTERED BODY "PASSED FAILED" CODE: a program that registers so many cases and runs BODY.
expect() {
  local name=$1 registered=$2 body=$3 tally=$4 code=$5
  cat >"$work/$name" <<PROGRAM
#!/usr/bin/env bash
if [[ " \$* " == *" --count "* ]]; then
  echo "[doctest] unskipped test cases passing the current filters: $registered"
  exit 0
fi
$body
PROGRAM
  chmod +x "$work/$name"
  bash "$here/run_doctest.sh" "$name" "$work/tally" "$work/$name" >"$work/log" 2>&1
  local got_code=$? got_tally
  got_tally=$(cat "$work/tally/$name" 2>/dev/null)
  if [[ $got_tally != "$tally" || $got_code != "$code" ]]; then
    echo "$name: tally '$got_tally', exit code $got_code; expected '$tally', $code"
    wrong=1
  fi
}

summary() { echo "echo '[doctest] test cases: $1 | $2 passed | $3 failed | $4 skipped'"; }

expect passes 3 "$(summary 3 3 0 0)" "3 0" 0
expect aligned 12 "$(summary ' 12' ' 12' 0 0)" "12 0" 0
expect fails 3 "$(summary 3 2 1 0); exit 1" "2 1" 1
expect skips 3 "$(summary 2 2 0 1)" "2 1" 1
# shellcheck disable=SC2016  # $$ belongs to the made-up program
expect crashes_mutely 3 'kill -SEGV $$' "0 3" 1
# shellcheck disable=SC2016
expect crashes_with_summary 5 "$(summary 2 1 1 3)"'; kill -SEGV $$' "1 4" 1
expect exits_early 4 "exit 0" "0 4" 1
expect passes_then_dies 2 "$(summary 2 2 0 0); exit 3" "2 1" 1
expect has_no_cases 0 "$(summary 0 0 0 0)" "0 1" 1
expect counts_too_many 2 "$(summary 3 3 0 0)" "3 1" 1

rm -f "$work/tally/absent"
if bash "$here/run_doctest.sh" absent "$work/tally" "$work/no_such_program" >/dev/null 2>&1; then
  echo "a program that does not exist passed"
  wrong=1
fi
[[ $(cat "$work/tally/absent") == "0 1" ]] || { echo "a program that does not exist left another tally than '0 1'"; wrong=1; }

exit $wrong
