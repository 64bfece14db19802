#!/usr/bin/env bash
# parity.sh [STEPS [ROUNDS]]: trains the demo's net for STEPS (default 20) steps in lucid and in Debian's PyTorch, from the
# same weights on the same patches, in float64 and in float32, and prints losses and times side by side. Fails when a
# float64 loss differs by more than 1e-6 relative, or a float32 loss by more than 1e-3 while PyTorch's own float32
# losses are those of its float64. OMP_NUM_THREADS (default: one a core) is used by both. Installs python3-torch when
# missing, which is large: this is not part of scripts/test.sh.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/install_deps.sh build demo parity
scripts/build.sh release parity_lucid
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(nproc)}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Debian's interpreter, whichever python3 comes first on the PATH: it has the torch that was installed.
/usr/bin/python3 tests/parity/parity.py build/release/bin/parity_lucid examples/segmentation/brain.json "$folder" \
  "${1:-20}" "${2:-2}"
