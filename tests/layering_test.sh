#!/usr/bin/env bash
# Fails when an #include points up: lucid <- autograd <- ops <- nn <- examples <- tests, bench.
# Also: only ops/onednn/ and bench/, which measures it raw, include oneDNN, includes are written from the root of the tree, and C++ lives in
# these rooms only. The umbrella lucid/lucid.hpp is exempt, but the library itself must not include it.
set -u -o pipefail

# shellcheck disable=SC2016  # $0 belongs to awk
# scan ROOT: prints one line for each violation.
scan() {
  local root=$1
  (
    cd "$root" || exit 1
    find . \( -path './.*' -o -name build -o -name 'build-*' \) -prune -o \
      -type f \( -name '*.hpp' -o -name '*.cpp' -o -name '*.h' -o -name '*.hh' -o -name '*.cc' -o -name '*.inl' \) -print |
      sed 's|^\./||' | LC_ALL=C sort | tr '\n' '\0' | xargs -0 -r awk '
        BEGIN {
          floor["lucid"] = 0; floor["autograd"] = 1; floor["ops"] = 2; floor["nn"] = 3
          floor["examples"] = 4; floor["tests"] = 5; floor["bench"] = 5
        }
        FNR == 1 {
          split(FILENAME, part, "/"); room = part[1]
          if (!(room in floor)) print FILENAME ": C++ outside the rooms of the house"
        }
        /^[ \t]*#[ \t]*include[ \t]*[<"]/ {
          match($0, /[<"][^>"]*/); path = substr($0, RSTART + 1, RLENGTH - 1)
          where = FILENAME ":" FNR ": includes " path
          if (path ~ /(^|\/)\.\.?\//) print where ": includes are written from the root of the tree"
          if (path ~ /(^|\/)dnnl[^\/]*$/ && FILENAME !~ /^(ops\/onednn|bench)\//) print where ": only ops/onednn/ includes oneDNN"
          if (!(room in floor) || FILENAME == "lucid/lucid.hpp") next
          if (path == "lucid/lucid.hpp" && floor[room] < 4) print where ": the library must not include its umbrella"
          split(path, part, "/")
          if (part[1] in floor && floor[part[1]] > floor[room]) print where ": points up from " room "/"
        }'
  )
}

# The scan itself must go red: a made-up tree with one violation of each kind and a few innocent lines.
self_test() {
  local tree
  tree=$(mktemp -d) || return 1
  mkdir -p "$tree"/{lucid,autograd,ops/onednn,nn,examples,tests,bench,stray,build/release}
  printf '#include <nn/unet.hpp>\n#include "ops/add.hpp"\n' >"$tree/lucid/lucid.hpp"
  printf '#include <lucid/shape.hpp>\n// #include <nn/x.hpp>\n' >"$tree/lucid/tensor.hpp"
  printf '#include "autograd/node.hpp"\n' >"$tree/lucid/up.cpp"
  printf '  #  include  <ops/add.hpp>\n' >"$tree/autograd/up.hpp"
  printf '#include <dnnl.hpp>\n#include <lucid/tensor.hpp>\n' >"$tree/ops/onednn/engine.cpp"
  printf '#include <oneapi/dnnl/dnnl.hpp>\n' >"$tree/ops/leak.cpp"
  printf '#include "../ops/add.hpp"\n' >"$tree/nn/relative.cpp"
  printf '#include <lucid/lucid.hpp>\n' >"$tree/nn/umbrella.cpp"
  printf '#include <lucid/lucid.hpp>\n#include "tests/main.hpp"\n' >"$tree/examples/up.cpp"
  printf '#include <lucid/lucid.hpp>\n#include <examples/x.hpp>\n' >"$tree/tests/fine.cpp"
  printf '#include <dnnl.hpp>\n#include "ops/onednn/shim.hpp"\n' >"$tree/bench/fine.cpp"
  printf 'int x;\n' >"$tree/stray/stray.cpp"
  printf '#include "../x"\n' >"$tree/build/release/generated.cpp"
  local expected='autograd/up.hpp:1: includes ops/add.hpp: points up from autograd/
examples/up.cpp:2: includes tests/main.hpp: points up from examples/
lucid/up.cpp:1: includes autograd/node.hpp: points up from lucid/
nn/relative.cpp:1: includes ../ops/add.hpp: includes are written from the root of the tree
nn/umbrella.cpp:1: includes lucid/lucid.hpp: the library must not include its umbrella
ops/leak.cpp:1: includes oneapi/dnnl/dnnl.hpp: only ops/onednn/ includes oneDNN
stray/stray.cpp: C++ outside the rooms of the house'
  local found
  found=$(scan "$tree" | LC_ALL=C sort)
  rm -rf "$tree"
  [[ $found == "$expected" ]] && return 0
  printf 'the scan of a made-up tree found\n%s\nand should have found\n%s\n' "$found" "$expected"
  return 1
}

root=${LUCID_SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
self_test || exit 1
files=$(find "$root/lucid" -name '*.hpp' 2>/dev/null | wc -l)
if ((files == 0)); then
  echo "no headers below $root/lucid: nothing was scanned"
  exit 1
fi
violations=$(scan "$root") || exit 1
if [[ -n $violations ]]; then
  printf '%s\n' "$violations"
  exit 1
fi
