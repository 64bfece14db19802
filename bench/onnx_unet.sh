#!/usr/bin/env bash
# onnx_unet.sh [ROUNDS [THREADS]]: the reference U-Net's compiled inference beside ONNX Runtime's (the npm package onnxruntime-node, fetched into
# build/onnx) on the model that PyTorch exports, round by round. Needs node, npm and Debian's PyTorch.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=${1:-3} threads=${2:-$(nproc)} folder=build/onnx side=128
scripts/build.sh release bench_unet
mkdir -p "$folder"
[[ -d $folder/node_modules/onnxruntime-node ]] ||
  npm install --silent --ignore-scripts --no-audit --no-fund --prefix "$folder" onnxruntime-node@1.30.0
/usr/bin/python3 bench/onnx_export.py "$folder" "$side"
for ((round = 0; round < rounds; ++round)); do
  for norm in batch instance; do
    node bench/onnx_unet.mjs "$folder" "$norm" "$side" "$threads"
    build/release/bin/bench_unet "inference, $norm norm" --no-torch --threads "$threads" --rounds 1 | grep '^| [a-z]' | cut -d'|' -f1-4
  done
done
