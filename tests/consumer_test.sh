#!/usr/bin/env bash
# Installs the build into a temporary prefix and uses it as a stranger would: find_package(lucid), every
# installed header, a program that runs. Then the same program with lucid as a subdirectory.
set -euo pipefail

source_dir=${LUCID_SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
build_dir=${LUCID_BUILD_DIR:-$source_dir/build/release}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

fail() {
  echo "consumer_test: $*" >&2
  exit 1
}

# What the build was made with; the consumer needs the same.
cached() { sed -n "s/^$1:[^=]*=//p" "$build_dir/CMakeCache.txt"; }
settings=(-G Ninja "-DCMAKE_BUILD_TYPE=$(cached CMAKE_BUILD_TYPE)" "-DCMAKE_CXX_COMPILER=$(cached CMAKE_CXX_COMPILER)"
  "-DCMAKE_CXX_FLAGS=$(cached CMAKE_CXX_FLAGS)")

cmake --install "$build_dir" --prefix "$prefix" >/dev/null

# The prefix moves before it is used: nothing in it may know where it was made.
mv "$prefix" "$work/moved"
prefix=$work/moved
include=$prefix/include/lucid
[[ -f $include/lucid/lucid.hpp ]] || fail "lucid/lucid.hpp is not installed"
private=$(find "$include" -path '*/detail/*' -o -path '*/ops/onednn*' -o -path '*/ops/kernels*')
[[ -z $private ]] || fail "private headers are installed: $private"
if grep -rnF -e "$source_dir" -e "$build_dir" "$prefix" --include='*.cmake' --include='*.hpp'; then
  fail "installed files name the build machine's folders"
fi

{
  cd "$include"
  find . -name '*.hpp' | sort | sed 's|^\./\(.*\)|#include <\1>|'
} >"$work/every_header.cpp"

cmake -S "$source_dir/tests/consumer" -B "$work/installed" "${settings[@]}" "-DCMAKE_PREFIX_PATH=$prefix" \
  "-DGENERATED_HEADER_LIST=$work/every_header.cpp" >/dev/null
cmake --build "$work/installed" --parallel 2
"$work/installed/consumer" || fail "the consumer of the installed library failed with exit code $?"

# As a subdirectory it must configure beside the consumer, bring no tests, examples or install rules of its
# own, and compile against the tree. The library is not compiled a second time.
cmake -S "$source_dir/tests/consumer" -B "$work/subdirectory" "${settings[@]}" "-DLUCID_FROM_SOURCE=$source_dir" >/dev/null
targets=$(ninja -C "$work/subdirectory" -t targets all)
if grep -E '^(lucid/)?(tests|examples)/' <<<"$targets"; then
  fail "lucid as a subdirectory brings its tests or examples"
fi
grep -q '^consumer: ' <<<"$targets" || fail "no consumer among the targets of the subdirectory build"
ninja -C "$work/subdirectory" CMakeFiles/consumer.dir/main.cpp.o
