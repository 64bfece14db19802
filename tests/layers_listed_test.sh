#!/usr/bin/env bash
# Every layer that a header of nn/ declares stands in the table of tests/nn/all_layers_test.cpp, and every header
# with layers is included by nn/nn.hpp. What the table holds is checked for its text, keys, fields and errors.
set -u -o pipefail
cd "${LUCID_SOURCE_DIR:-$(dirname "${BASH_SOURCE[0]}")/..}" || exit 1

# layers FILE...: "FILE NAME" for each struct that is a module, by itself or through a base, and for each alias
# of a template ("using Conv3d = "). Templates, options and what namespace detail holds are no layers of their own.
layers() {
  awk '
    FNR == 1 { detail = 0; previous = "" }
    /^namespace detail \{/ { detail = 1 }
    /^\}  \/\/ namespace detail/ { detail = 0 }
    !detail && /^struct [A-Z][A-Za-z0-9]* : / && previous !~ /^template/ && !/^struct Module / { print FILENAME, $2 }
    !detail && /^using [A-Z][A-Za-z]*[123]d = / { print FILENAME, $2 }
    { previous = $0 }' "$@"
}

missing() {
  local file name
  while read -r file name; do
    grep -q "nn::${name}[(]" "$1" || echo "$file: $name is not in $1"
    grep -q "\"$file\"" nn/nn.hpp || echo "$file: nn/nn.hpp does not include it"
  done
}

table=tests/nn/all_layers_test.cpp
found=$(layers nn/*.hpp | grep -v ' Sequential$')  # a container, shown by its layers: tests/nn/layers_test.cpp
count=$(wc -l <<<"$found")
((count > 100)) || { echo "only $count layers were found in nn/*.hpp"; exit 1; }
problems=$(missing "$table" <<<"$found")
[[ -z $problems ]] || { echo "$problems"; exit 1; }

# The check itself must go red on a layer that nobody listed.
[[ $(missing "$table" <<<"nn/pool.hpp Forgotten3d") == *"Forgotten3d is not in"* ]] || { echo "a forgotten layer went unnoticed"; exit 1; }
[[ $(missing "$table" <<<"nn/other.hpp ReLU") == *"does not include it"* ]] || { echo "a missing include went unnoticed"; exit 1; }
echo "$count layers are listed"
