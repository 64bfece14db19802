#!/usr/bin/env bash
# demo.sh [ARGUMENT...]: installs what is missing, builds, and trains on the head scan of Debian's mricron-data:
# one hemisphere to learn from, the other to be judged on. Arguments go to `lucid-segment train` (--resume, ...).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
output=build/demo

scripts/install_deps.sh build demo
scripts/build.sh release lucid-segment
build/release/bin/lucid-segment train examples/segmentation/brain.json --output "$output" "$@"

echo
echo "pictures, report and model are in $PWD/$output:"
find "$output" -maxdepth 2 -type f \( -name '*.html' -o -name '*.png' \) | sort | sed 's/^/  /'
