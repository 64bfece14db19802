#!/usr/bin/env bash
# Holds the docs to the code: docs/ops.md, errors.md and proofs.md to the registry, and every snippet of the README that names a file to that file.
set -u

source_dir=${LUCID_SOURCE_DIR:?} build_dir=${LUCID_BUILD_DIR:?}
cd "$source_dir" || exit 1
failed=0

# held PAGE COMMAND...: the page is what the command prints.
held() {
  local page=$1
  shift
  if ! diff <("$@") "$page"; then
    echo "$page differs from what the registry says; make it anew: $* > $page"
    failed=1
  fi
}
held docs/ops.md "$build_dir/bin/prove_ops" --ops
held docs/errors.md "$build_dir/bin/prove_ops" --errors
held docs/proofs.md cat "$build_dir/proofs.md"

# <!-- snippet: FILE --> ... <!-- /snippet -->: the fenced lines must stand in FILE, one after the other, indentation aside.
snippets=$(grep -c '^<!-- snippet: ' README.md)
if ((snippets == 0)); then
  echo "README.md shows no snippet of a compiled example"
  failed=1
fi
trimmed() { sed 's/^[[:space:]]*//; s/[[:space:]]*$//' "$@"; }
while read -r file; do
  shown=$(sed -n "\\|^<!-- snippet: $file -->|,\\|^<!-- /snippet -->|p" README.md | grep -v '^<!--' | grep -v '^```' | trimmed)
  if [[ -z ${shown//[[:space:]]/} || $(trimmed "$file") != *"$shown"* ]]; then
    echo "README.md: the snippet of $file is empty or no longer what the file says"
    failed=1
  fi
done < <(sed -n 's/^<!-- snippet: \(.*\) -->$/\1/p' README.md)

# Every file that the README links to or names by path exists.
while read -r path; do
  if [[ ! -e $path ]]; then
    echo "README.md names $path, which does not exist"
    failed=1
  fi
done < <(grep -oE '\]\([a-zA-Z0-9_./-]+\)' README.md | sed 's/^](//; s/)$//')

exit "$failed"
