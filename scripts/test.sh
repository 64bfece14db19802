#!/usr/bin/env bash
# test.sh [PRESET [CTEST_ARGUMENT...]]: installs what is missing, builds (default preset: release), runs all
# suites and checks, and closes with 'N passed, N failed'. A suite counts by its test cases, a check as one.
# Whatever did not run to its end counts as failed; so does a run without tests. Exit code 1 on any failure.
set -uo pipefail

preset=${1:-release}
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
build=$PWD/build/$preset
passed=0
failed=0

close() {
  if ((passed + failed == 0)); then failed=1; fi
  echo "$passed passed, $failed failed"
  ((failed == 0))
  exit
}

# With the demo's scan: suites read it too.
if ! { scripts/install_deps.sh build demo && scripts/build.sh "$preset"; }; then
  echo "the build failed"
  failed=1
  close
fi

junit=$build/ctest.xml
rm -rf "$junit" "$build/tally"
# Suites run side by side on few cores: threads that wait give way.
export OMP_WAIT_POLICY=passive
ctest --test-dir "$build" --no-tests=error --output-on-failure --output-junit "$junit" "${@:2}" </dev/null
ctest_code=$?

# One line a test: its name and ctest's word for how it went (run, fail, notrun, disabled).
outcomes() {
  [[ -f $junit ]] && sed -n 's/^[[:space:]]*<testcase name="\([^"]*\)".* status="\([a-z]*\)".*/\1 \2/p' "$junit"
}

while read -r name status; do
  suite_passed=0
  suite_failed=0
  if [[ -f $build/tally/$name ]]; then
    read -r suite_passed suite_failed <"$build/tally/$name"
  elif [[ $status == run ]]; then
    suite_passed=1
  fi
  if [[ $status != run ]] && ((suite_failed == 0)); then suite_failed=1; fi
  if ((suite_failed > 0)); then echo "failed: $name"; fi
  passed=$((passed + suite_passed))
  failed=$((failed + suite_failed))
done < <(outcomes)

# ctest itself may fail, or know of more failures than its report tells.
if ((ctest_code != 0 && failed == 0)); then failed=1; fi
close
