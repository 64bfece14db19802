#!/usr/bin/env bash
# install_deps.sh [build|demo|parity|coverage|bench|tsan|aarch64]...: installs the Debian packages of these groups that
# are missing (default: build). Says nothing and touches nothing when all are there.
set -euo pipefail

# libdnnl-dev's CMake files look for OpenCL, which the package does not depend on.
build=(g++ cmake ninja-build libdnnl-dev ocl-icd-opencl-dev libspdlog-dev doctest-dev nlohmann-json3-dev
  libcli11-dev libnifti2-dev libniftiio-dev libpng-dev zlib1g-dev)
demo=(mricron-data)
parity=(python3-torch python3-numpy)
coverage=(gcovr)
# PyTorch depends on any BLAS; on the reference one its convolutions take several times as long as on OpenBLAS.
bench=(libbenchmark-dev python3-torch python3-numpy python3-matplotlib libopenblas0-openmp)
tsan=(clang libomp-dev)
aarch64=(g++-aarch64-linux-gnu qemu-user-static libspdlog-dev:arm64 libgomp1:arm64)

wanted=()
for group in "${@:-build}"; do
  case $group in
    build) wanted+=("${build[@]}") ;;
    demo) wanted+=("${demo[@]}") ;;
    parity) wanted+=("${parity[@]}") ;;
    coverage) wanted+=("${coverage[@]}") ;;
    bench) wanted+=("${bench[@]}") ;;
    tsan) wanted+=("${tsan[@]}") ;;
    aarch64) wanted+=("${aarch64[@]}") ;;
    *)
      echo "install_deps.sh: unknown group '$group', expected build, demo, parity, coverage, bench, tsan or aarch64" >&2
      exit 2
      ;;
  esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install_deps.sh: not a Debian system; the build needs what Debian calls: ${wanted[*]}" >&2
  exit 0
fi

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed* ]] || missing+=("$package")
done
((${#missing[@]} > 0)) || exit 0

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "install_deps.sh: needs root or sudo to install: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT

apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" \
    </dev/null >"$log" 2>&1
}

echo "installing ${missing[*]}"
if [[ ${missing[*]} == *:arm64* ]]; then "${as_root[@]}" dpkg --add-architecture arm64; fi
install=(install -y --no-install-recommends "${missing[@]}")
# The package lists may be absent or stale; they are fetched only when the first try fails.
if ! apt "${install[@]}" && ! { apt update && apt "${install[@]}"; }; then
  cat "$log" >&2
  echo "install_deps.sh: apt-get could not install: ${missing[*]}" >&2
  exit 1
fi
