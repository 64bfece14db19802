#!/usr/bin/env bash
# build.sh [PRESET [TARGET...]]: installs what is missing and builds into build/PRESET (release, debug, asan,
# tsan or aarch64; default release), programs in build/PRESET/bin. LUCID_JOBS sets the number of compiler processes.
set -euo pipefail

preset=${1:-release}
targets=("${@:2}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Smallest of the machine's available memory and the cgroup's limit, in MiB.
memory_mib() {
  local available limit=max
  available=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
  if [[ -r /sys/fs/cgroup/memory.max ]]; then
    limit=$(</sys/fs/cgroup/memory.max)
  elif [[ -r /sys/fs/cgroup/memory/memory.limit_in_bytes ]]; then
    limit=$(</sys/fs/cgroup/memory/memory.limit_in_bytes)
  fi
  if [[ $limit != max ]] && ((${#limit} < 16 && limit / 1048576 < available)); then
    available=$((limit / 1048576))
  fi
  echo "$available"
}

# The cgroup's share of processors, rounded up; all of them without a quota.
processors() {
  local all quota=max period=100000
  all=$(nproc)
  if [[ -r /sys/fs/cgroup/cpu.max ]]; then
    read -r quota period </sys/fs/cgroup/cpu.max
  fi
  if [[ $quota != max ]] && (((quota + period - 1) / period < all)); then
    all=$(((quota + period - 1) / period))
  fi
  echo "$all"
}

# One compiler process takes up to about 1.5 GiB.
job_count() {
  local jobs by_memory
  jobs=$(processors)
  by_memory=$(($(memory_mib) / 1536))
  if ((by_memory < jobs)); then jobs=$by_memory; fi
  echo $((jobs > 0 ? jobs : 1))
}

# A cross compiler, an emulator and libraries for the preset aarch64. libdnnl-dev can't be installed for two
# architectures at once, so it is unpacked in build/.
fetch_aarch64() {
  local root=$PWD/build/aarch64-root package
  scripts/install_deps.sh aarch64
  [[ ! -d $root ]] || return 0
  rm -rf "$root.new"
  mkdir -p "$root.new"
  (cd "$root.new" && apt-get -qq -o APT::Sandbox::User=root download libdnnl-dev:arm64 libdnnl2:arm64)
  for package in "$root.new"/*.deb; do dpkg -x "$package" "$root.new"; done
  mv "$root.new" "$root"
}

scripts/install_deps.sh build
if [[ $preset == aarch64 ]]; then fetch_aarch64; fi
if [[ $preset == tsan ]]; then scripts/install_deps.sh tsan; fi
cmake --preset "$preset" --log-level=WARNING >/dev/null
cmake --build "build/$preset" --parallel "${LUCID_JOBS:-$(job_count)}" ${targets[@]:+--target "${targets[@]}"}
