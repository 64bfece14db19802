#!/usr/bin/env bash
# parity.sh [STEPS [ROUNDS]]: trains the demo's net for STEPS (default 20) steps in lucid and in Debian's PyTorch, from the
# same weights on the same patches, prints both losses side by side and both times, and fails when a loss differs by
# more than 1e-3 relative. OMP_NUM_THREADS (default: one a core) is used by both. Installs python3-torch when missing,
# which is large: this is not part of scripts/test.sh.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/install_deps.sh build demo parity
scripts/build.sh release parity_lucid
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(nproc)}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 tests/parity/parity.py build/release/bin/parity_lucid examples/segmentation/brain.json "$folder" \
  "${1:-20}" "${2:-2}"
