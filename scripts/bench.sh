#!/usr/bin/env bash
# bench.sh [WHAT [ARGUMENT...]]: installs what is missing, builds, and times lucid beside Debian's PyTorch in one interleaved run.
# WHAT: unet (training steps and inference of a whole net), nets (training steps of others), ops (other ops on volumes), small (ops on 16 elements), rule (random convolutions by all
# kernels that serve, no peer), or which convolutions, also beside raw oneDNN: names of groups in bench/shapes.json
# (table,sweep,conv3d) or a regular expression; default: all convolutions.
# Prints a table; convolutions also go to build/bench.json and the chart build/bench.png. Further arguments go to the program
# (--rounds 9, --help).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/install_deps.sh build bench
if [[ ${1:-} == unet || ${1:-} == nets || ${1:-} == ops || ${1:-} == small || ${1:-} == rule ]]; then
  scripts/build.sh release "bench_$1"
  exec "build/release/bin/bench_$1" "${@:2}"
fi
scripts/build.sh release bench_conv
build/release/bin/bench_conv --json build/bench.json "$@"
# Debian's interpreter, whichever python3 comes first on the PATH: it has the matplotlib that was installed.
/usr/bin/python3 bench/chart.py build/bench.json build/bench.png
echo
echo "written: $PWD/build/bench.json, $PWD/build/bench.png"
