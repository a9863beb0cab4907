#!/usr/bin/env bash
# Runs a fuzz target, with the stable compiler and without cargo-fuzz (and so without its address sanitizer).
#
#   fuzz/run.sh arrow -max_total_time=120       # the rest goes to libFuzzer
#   TAPEDECK_FUZZ_SEEDS=fuzz/seeds/arrow fuzz/run.sh arrow -runs=0     # writes the seeds anew
#
# The corpus is kept in fuzz/corpus/<target>; what fails in fuzz/artifacts/<target>.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1
shift
seeds=${TAPEDECK_FUZZ_SEEDS:-}
[ -z "$seeds" ] || export TAPEDECK_FUZZ_SEEDS=$PWD/$seeds
cmake=$(tools/cmake.sh)
export PATH="$cmake:$PATH"
# What cargo-fuzz sets, less what needs a nightly compiler. A target triple keeps build scripts and macros out of it.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=16 -Cdebug-assertions -Copt-level=1 -Cdebuginfo=line-tables-only"
triple=$(rustc -vV | sed -n 's/^host: //p')
cd fuzz
cargo build --quiet --target "$triple" --bin "$target"
mkdir -p "corpus/$target" "artifacts/$target"
folders=("corpus/$target")
# Seeds that are not kept are written by the target when it begins.
[ -d "seeds/$target" ] || { mkdir "seeds/$target"; export TAPEDECK_FUZZ_SEEDS=$PWD/seeds/$target; }
folders+=("seeds/$target")
# The files of each run are small and many: memory, not disk.
[ ! -d /dev/shm ] || export TMPDIR=/dev/shm
exec "${CARGO_TARGET_DIR:-target}/$triple/debug/$target" -artifact_prefix="artifacts/$target/" -timeout=20 -rss_limit_mb=1024 \
    -max_len=65536 "$@" "${folders[@]}"
