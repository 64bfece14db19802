#!/usr/bin/env bash
# coverage.sh: builds with counters, runs the suites, the proofs and the golden cases, and prints which lines of ops/
# and autograd/ ran: a row per file with the lines that did not. Fails below 95 %.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=build/coverage
# Counters are atomic: threads that share them wait for each other.
export OMP_NUM_THREADS=1
scripts/install_deps.sh build demo coverage
scripts/build.sh coverage test_lucid test_autograd test_ops test_nn prove_ops fuzz_ops run_cases

find "$build" -name '*.gcda' -delete
for suite in test_lucid test_autograd test_ops test_nn; do "$build/bin/$suite" >/dev/null; done
"$build/bin/prove_ops" >/dev/null
"$build/bin/run_cases" tests/cases >/dev/null
"$build/bin/fuzz_ops" --cases 30 >/dev/null

gcovr --root . --filter 'ops/' --filter 'autograd/' --object-directory "$build" --exclude-directories '.*CompilerIdCXX' \
  --txt "$build/coverage.txt" --fail-under-line 95 "$build"
cat "$build/coverage.txt"
