#!/usr/bin/env bash
# The small examples do what their first lines say.
set -u

bin=${LUCID_BUILD_DIR:?}/bin
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

expect() { # expect TEXT FILE
  if ! grep -qF -- "$1" "$2"; then
    echo "$2 lacks: $1"
    failed=1
  fi
}

"$bin/quickstart" >"$folder/quickstart" || failed=1
expect 'basic             (1, 1, 2, 2, 2)' "$folder/quickstart"
expect 'stride 2          (1, 1, 2, 2, 2)' "$folder/quickstart"
expect 'output_padding 1  (1, 1, 3, 3, 3)' "$folder/quickstart"
expect 'grouped           (1, 2, 1, 1, 1), values 1 and 4' "$folder/quickstart"
expect "(x^3)' = 27, (x^3)'' = 18" "$folder/quickstart"
loss=$(sed -n 's/^step 200, loss //p' "$folder/quickstart")
if ! awk -v loss="${loss:-1}" 'BEGIN { exit !(loss < 1e-4) }'; then
  echo "quickstart: the layer did not learn, loss ${loss:-missing}"
  failed=1
fi

"$bin/custom_op" >"$folder/custom_op" || failed=1
expect ' 0 failed' "$folder/custom_op"
expect '2 of 2 mutants are noticed' "$folder/custom_op"

"$bin/decoder" "$folder/decoder.png" 3 >"$folder/decoder" || failed=1
expect 'step 2, loss' "$folder/decoder"
if [[ $(head -c 4 "$folder/decoder.png" | tail -c 3) != PNG ]]; then
  echo "decoder wrote no PNG"
  failed=1
fi

if ((failed)); then cat "$folder"/quickstart "$folder"/custom_op "$folder"/decoder; fi
exit "$failed"
