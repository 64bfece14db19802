#!/usr/bin/env bash
# coverage.sh: builds with counters, runs the suites, the proofs and the golden cases, and prints which lines of ops/
# and autograd/ ran: a row per file, then the lines that did not. Fails below 95 %. Details in build/coverage/.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=build/coverage
scripts/install_deps.sh build demo coverage
scripts/build.sh coverage test_lucid test_autograd test_ops test_nn prove_ops fuzz_ops run_cases

find "$build" -name '*.gcda' -delete
for suite in test_lucid test_autograd test_ops test_nn; do "$build/bin/$suite" >/dev/null; done
"$build/bin/prove_ops" >/dev/null
"$build/bin/run_cases" tests/cases >/dev/null
"$build/bin/fuzz_ops" --cases 100 >/dev/null

gcovr --root . --filter 'ops/' --filter 'autograd/' --object-directory "$build" --exclude-unreachable-branches \
  --json "$build/coverage.json" --txt "$build/coverage.txt" --fail-under-line 95 "$build"
cat "$build/coverage.txt"
