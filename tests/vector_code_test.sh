#!/usr/bin/env bash
# Holds the compiler to inlining: code compiled for wider registers (lucid/cpu.hpp) calls no function of lucid that is not. Such a
# call, of a lambda in the middle of a kernel or of an elementary function in a loop, costs up to 25 times the time, and nothing
# else shows it: the results are right. What is named here wants [[gnu::always_inline]].
set -uo pipefail

library=${1:-${LUCID_BUILD_DIR:?}/liblucid.a}
[[ -f $library ]] || { echo "vector code: no $library" >&2; exit 1; }

# One line "CALLED CALLER" for each call or jump from such code to another function. Relocated ones name it on a line of their own,
# or its section only, which counts as lucid's.
calls=$(objdump --disassemble --reloc --no-show-raw-insn "$library" | awk '
  />:$/ { caller = substr($2, 2, length($2) - 3); is_wide = caller ~ /run_narrow|run_wide|arch_x86_64_v[34]/; functions += is_wide }
  !is_wide { next }
  /\t(call|jmp|bl|b) .*<[^+>]+>$/ { called = $NF; gsub(/[<>]/, "", called); if (called != caller) print called, caller }
  /R_X86_64_PLT32|R_X86_64_PC32\t\.text|R_AARCH64_(CALL|JUMP)26/ { called = $3; sub(/[-+]0x[0-9a-f]+$/, "", called); print called, caller }
  END { print functions + 0, "functions" }') || { echo "vector code: objdump can't read $library" >&2; exit 1; }

functions=$(tail -n 1 <<<"$calls")
if [[ $functions == "0 functions" ]]; then
  echo "vector code: found none in $library" >&2
  exit 1
fi
found=$(awk '$1 ~ /5lucid|^\.text/ && $1 !~ /run_narrow|run_wide|arch_x86_64_v[34]/' <<<"$calls" | sort -u | c++filt)
if [[ -n $found ]]; then
  echo "vector code calls functions that are compiled for any processor (called, caller):" >&2
  echo "$found" >&2
  exit 1
fi
echo "vector code: $functions call no function of lucid compiled for any processor"
