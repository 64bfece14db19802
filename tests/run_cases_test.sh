#!/usr/bin/env bash
# The case runner must answer a folder that is not what it should be with a failed case or an error that says why,
# and never pass by running nothing.
set -eu

runner="$LUCID_BUILD_DIR/bin/run_cases"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# expect TEXT: the folder's run fails in good order (exit code 1) and its report holds TEXT.
expect() {
  local code=0 report
  report=$("$runner" "$folder" --dtype f64 2>&1) || code=$?
  if ((code != 1)) || [[ $report != *"$1"* ]] || [[ $report != *" failed" ]]; then
    echo "exit code $code; expected a report with \"$1\" for $(cat "$folder"/*.json 2>/dev/null):"
    echo "$report"
    exit 1
  fi
}
group() { printf '%s' "$1" >"$folder/group.json"; }
one_case() { group "{\"cases\": [$1]}"; }

expect 'no group of cases'
group '{"cases": ['
expect 'parse error'
group '{"cases": {}}'
expect '"cases" must be a list'
group '{"cases": [], "file": "missing.safetensors"}'
expect 'missing.safetensors'
group '{"cases": [], "file": 7}'
expect 'must be string'
printf 'short' >"$folder/broken.safetensors"
group '{"cases": [], "file": "broken.safetensors"}'
expect 'broken.safetensors'
rm "$folder/broken.safetensors"

one_case '7'
expect 'must be an object'
one_case '{"id": "a", "op": "conv3d"}'
expect 'a/x is not in the group'
one_case '{"id": "a", "op": 3, "arguments": {}}'
expect 'must be string'
one_case '{"id": "a", "op": "ad", "arguments": {}, "outputs": ["y"]}'
expect 'did you mean'
one_case '{"id": "a", "op": "add", "arguments": {"input": {"tensor": "x"}}, "outputs": ["y"]}'
expect 'a/x is not in the group'
one_case '{"id": "a", "op": "add", "arguments": [1], "outputs": ["y"]}'
expect 'must be an object'
one_case '{"id": "a", "op": "zeros_like", "arguments": {"input": 1.0}, "outputs": ["y"]}'
expect 'no op "zeros_like"'
one_case '{"id": "a", "op": "abs", "arguments": {"input": -1.0, "speed": 3}, "outputs": ["y"]}'
expect 'speed'
one_case '{"id": "a", "op": "abs", "arguments": {"input": -1.0}, "outputs": []}'
expect 'compared nothing'
one_case '{"id": "a", "op": "conv3d", "generate": {}, "digest": {}, "params": {}}'
expect 'key'
one_case '{"id": "a", "op": "conv3d", "generate": {"x": {"shape": [-1], "seed": 1}}, "digest": {}, "params": {}}'
expect '-1'
one_case '{"id": "a", "op": "optim.SGD", "kind": "given_gradients", "kwargs": {"lr": 0.1}, "steps": 2, "tensors": {}}'
expect 'no parameters'
one_case '{"id": "a", "op": "optim.SGD", "kind": "quadratic", "kwargs": {"lr": 0.1}, "steps": 2, "tensors": {}}'
expect 'a/A is not in the group'
one_case '{"id": "a", "op": "lr_scheduler.LambdaLR", "kind": "schedule", "base_lr": 0.1, "lrs": [0.1], "kwargs": {"lr_lambda": "s +"}}'
expect 'not understood'
# schedule LAMBDA: a case whose rate that expression scales.
schedule() {
  one_case "{\"id\": \"a\", \"op\": \"lr_scheduler.LambdaLR\", \"kind\": \"schedule\", \"base_lr\": 0.1, \"lrs\": [0.1], \"kwargs\": {\"lr_lambda\": \"$1\"}}"
}
repeated() { printf -- "$1%.0s" $(seq 20000); }
for deep in 'not ' 's if s else ' '(' '-' 's**'; do
  schedule "$(repeated "$deep")s"
  expect 'too deep'
done
schedule 'lambda epoch: 0.95**other'
expect 'a second variable'
schedule 'lambda : 0.95'
expect 'name is missing'
schedule "lambda epoch: $(repeated '(')"
expect 'too deep'
one_case '{"id": "a", "op": "lr_scheduler.StepLR", "kind": "schedule", "base_lr": 0.1, "lrs": "no", "kwargs": {"step_size": 1}}'
expect 'FAILED'
one_case '{"id": "a", "op": "train", "kind": "network", "graph": [["y", "relu", ["z"]]], "optimizer": ["SGD", {"lr": 0.1}], "steps": 1, "tensors": {}}'
expect 'FAILED'
one_case '{"id": "a", "op": "add", "expect": "error", "params": {}, "inputs": {"a": {"shape": [2], "dtype": "float64"}, "b": {"shape": [2], "dtype": "float64"}}, "reason": "none"}'
expect 'accepted; must be refused'
one_case '{"id": "a", "op": "add", "expect": "error", "params": {}}'
expect 'inputs'

# What is wrong with one group does not keep the others from running.
one_case '{"id": "a", "op": "lr_scheduler.StepLR", "kind": "schedule", "base_lr": 0.5, "lrs": [0.5, 0.05], "kwargs": {"step_size": 1}}'
printf '[' >"$folder/another.json"
expect '1 passed, 1 failed'
