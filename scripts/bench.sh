#!/usr/bin/env bash
# bench.sh [FILTER [ARGUMENT...]]: installs what is missing, builds, and times lucid's convolutions beside Debian's PyTorch
# and raw oneDNN in one interleaved run. Prints a table; writes build/bench.json and the chart build/bench.png. FILTER: names
# of groups in bench/shapes.json (table,sweep,conv3d) or a regular expression; arguments go to bench_conv (--rounds 9, ...).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/install_deps.sh build bench
scripts/build.sh release bench_conv
build/release/bin/bench_conv --json build/bench.json "$@"
# Debian's interpreter, whichever python3 comes first on the PATH: it has the matplotlib that was installed.
/usr/bin/python3 bench/chart.py build/bench.json build/bench.png
echo
echo "written: $PWD/build/bench.json, $PWD/build/bench.png"
